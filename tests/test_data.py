"""CIFAR-10 is found, verified, read and split; a fault in it ends in one line."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from labhelpers import cifar10, data, standin
from labhelpers.errors import DataDamaged, DataUnavailable, LabError

BATCHES = tuple(cifar10.BATCH_SHA256)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """A machine without CIFAR-10: empty home, empty project, empty current directory, no variables."""
    for name in ("home", "project", "current"):
        (tmp_path / name).mkdir()
    for name in ("LAB_DATA", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(data, "project", lambda: tmp_path / "project")
    monkeypatch.chdir(tmp_path / "current")
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)  # otherwise pytest keeps it, hundreds of megabytes in all


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """Six batches of random pixels, written as the official ones are, and the arrays they hold."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("made-up") / "cifar-10-batches-py"
    folder.mkdir()
    images, labels = rng.integers(0, 256, (6, 10_000, 32, 32, 3), np.uint8), rng.integers(0, 10, (6, 10_000))
    for name, some_images, some_labels in zip(BATCHES, images, labels, strict=True):
        rows = some_images.transpose(0, 3, 1, 2).reshape(10_000, 3_072)
        content = pickle.dumps({b"data": rows, b"labels": some_labels.tolist()}, protocol=3)
        # numpy.core, as Python 2's NumPy called it
        (folder / name).write_bytes(content.replace(b"numpy._core", b"numpy.core", 1))
    archive = folder.with_name("cifar-10-python.tar.gz")
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        tar.add(folder, folder.name)
    digests = {path.name: _sha256(path) for path in (archive, *folder.iterdir())}
    yield SimpleNamespace(folder=folder, archive=archive, images=images, labels=labels, digests=digests)
    shutil.rmtree(folder.parent)


@pytest.fixture
def official(made_up, monkeypatch):
    """The made-up data set, which counts as the official one during a test."""
    for name in BATCHES:
        monkeypatch.setitem(cifar10.BATCH_SHA256, name, made_up.digests[name])
    monkeypatch.setattr(cifar10, "ARCHIVE_BYTES", made_up.archive.stat().st_size)
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", made_up.digests[made_up.archive.name])
    return made_up


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _copy(made_up, parent):
    """Copy the folder into `parent`: hard links, so replace a file of the copy, never write into it."""
    copy = parent / "cifar-10-batches-py"
    copy.mkdir(parents=True)
    for name in BATCHES:
        os.link(made_up.folder / name, copy / name)
    return copy


def _damaged(parent):
    """Put a folder into `parent` that is found as CIFAR-10, but is not."""
    copy = parent / "cifar-10-batches-py"
    copy.mkdir(parents=True)
    (copy / "data_batch_1").write_bytes(b"not CIFAR-10")
    return copy


# What it reads


def test_real_batches_are_read_as_keras_reads_them(real_cifar):
    from labhelpers import backend  # noqa: F401  Keras, started quietly

    keras = pytest.importorskip("keras.src.datasets.cifar")
    source = Path(real_cifar.source)
    if not source.is_dir():
        pytest.skip("Keras's parser reads the unpacked folder, and only the archive is here")
    images, labels = zip(*(keras.load_batch(source / name) for name in BATCHES), strict=True)
    images = np.concatenate(images).transpose(0, 2, 3, 1)
    assert np.array_equal(np.concatenate([real_cifar.train_images, real_cifar.test_images]), images)
    ours = np.concatenate([real_cifar.train_labels, real_cifar.test_labels])
    assert np.array_equal(ours, np.concatenate(labels))


def test_real_data_is_the_published_data_set(real_cifar):
    assert real_cifar.name == "CIFAR-10" and not real_cifar.is_standin
    means = real_cifar.train_images.mean(axis=(0, 1, 2)) / 255
    assert means == pytest.approx([0.49140, 0.48216, 0.44653], abs=5e-6)
    assert np.bincount(real_cifar.train_labels).tolist() == 10 * [5_000]
    assert np.bincount(real_cifar.test_labels).tolist() == 10 * [1_000]
    meta = Path(real_cifar.source) / "batches.meta"
    if meta.is_file() and hashlib.md5(meta.read_bytes()).hexdigest() == "5ff9c542aee3614f3951f8cda6e48888":
        names = pickle.loads(meta.read_bytes(), encoding="utf8")["label_names"]
        assert real_cifar.class_names == tuple(names)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_folder_and_archive_are_read_in_the_official_order(kind, official, monkeypatch, tmp_path):
    place = official.archive if kind == "archive" else _copy(official, tmp_path / "Données d'été (à trier)")
    monkeypatch.setenv("LAB_DATA", str(place))
    loaded = data.load()
    assert np.array_equal(loaded.train_images, np.concatenate(official.images[:5]))
    assert np.array_equal(loaded.train_labels, np.concatenate(official.labels[:5]))
    assert np.array_equal(loaded.test_images, official.images[5])
    assert np.array_equal(loaded.test_labels, official.labels[5])
    assert {array.dtype for array in (loaded.train_images, loaded.train_labels)} == {np.dtype(np.uint8)}
    assert data.find() == ("CIFAR-10", loaded.digest, str(place)) and not loaded.is_standin
    assert loaded.digest == cifar10.digest() and len(bytes.fromhex(loaded.digest)) == 32
    monkeypatch.setitem(cifar10.BATCH_SHA256, "test_batch", 64 * "0")
    assert cifar10.digest() != loaded.digest


def test_standin_is_found_without_being_drawn_and_remembered_once_loaded(official, monkeypatch):
    monkeypatch.setattr(standin, "draw", lambda: pytest.fail("drawn"))
    found = data.find("standin")
    assert found.is_standin and len(bytes.fromhex(found.digest)) == 32
    assert data.loaded_names == set()
    data.load(official.folder)
    assert data.loaded_names == {"CIFAR-10"}
    arrays = [np.full(1, number) for number in range(4)]
    monkeypatch.setattr(standin, "draw", lambda: arrays)
    monkeypatch.setenv("LAB_DATA", "standin")
    loaded = data.load()
    assert loaded.is_standin and loaded.test_images is arrays[2]
    assert (loaded.name, loaded.digest, loaded.source) == found == data.find()
    assert data.loaded_names == {"CIFAR-10", "stand-in images"}


# Where it looks


def test_argument_goes_before_lab_data_and_that_before_the_usual_folders(monkeypatch, tmp_path, tells):
    _damaged(tmp_path / "project" / "data")
    variable, argument = _damaged(tmp_path / "home" / "images"), _damaged(tmp_path / "argument")
    monkeypatch.setenv("LAB_DATA", "~/images")
    with tells(DataDamaged, variable):
        data.load()
    with tells(DataDamaged, argument):
        data.load(argument)


def test_usual_folders_are_searched_in_order_each_once(monkeypatch, tmp_path):
    folders = [
        tmp_path / "project" / "data",
        tmp_path / "home" / ".keras" / "datasets",
        tmp_path / "home" / ".keras" / "datasets" / "cifar-10-batches-py-target",  # where Keras 3 unpacks it
        tmp_path / "home" / "data",
    ]
    copies = [str(_damaged(folder)) for folder in folders]
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(DataUnavailable) as caught:
        data.load()
    assert all(str(caught.value).count(copy + os.sep) == 1 for copy in copies)
    positions = [str(caught.value).index(copy + os.sep) for copy in copies]
    assert positions == sorted(positions)


def test_damaged_copy_is_passed_over_if_a_good_one_follows(official, monkeypatch, tmp_path):
    _damaged(tmp_path / "project" / "data")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    good = _copy(official, tmp_path / "keras" / "datasets")
    assert data.find().source == str(good)
    archive = tmp_path / "project" / "data" / official.archive.name
    os.link(official.archive, archive)
    assert data.find().source == str(archive)  # beside the damaged folder


def test_last_the_archive_is_downloaded_and_then_found(official, monkeypatch, tmp_path):
    _damaged(tmp_path / "home" / "data")
    fetched = []

    def fetch(target):
        fetched.append(target)
        target.parent.mkdir()
        os.link(official.archive, target)
        return target

    monkeypatch.setattr(data, "fetch", fetch)
    archive = tmp_path / "project" / "data" / "cifar-10-python.tar.gz"
    assert data.find().source == data.find().source == str(archive)
    assert fetched == [archive]


def test_without_data_the_error_says_what_to_do(monkeypatch, tmp_path, tells):
    monkeypatch.setenv("LAB_DATA", "")
    with tells(DataUnavailable, cifar10.ARCHIVE, tmp_path / "project" / "data", "LAB_DATA", "standin"):
        data.load()


@pytest.mark.parametrize(
    "name",
    ["cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz", "cifar-10-batches-py-target.tar.gz"],
    ids=["official", "as Keras 2 names it", "as Keras 3 names it"],
)
def test_archive_is_found_in_the_folder_named(name, tmp_path, tells):
    (tmp_path / name).write_bytes(b"not CIFAR-10")
    with tells(DataDamaged, tmp_path / name):
        data.load(tmp_path)


@pytest.mark.parametrize("name", ["missing", "empty", 300 * "x"], ids=["missing", "empty", "too long"])
def test_named_folder_without_data_is_an_error_though_good_data_is_elsewhere(
    name, official, monkeypatch, tmp_path, tells
):
    _copy(official, tmp_path / "project" / "data")
    (tmp_path / "empty").mkdir()
    with tells(LabError, tmp_path / name, "cifar-10-python.tar.gz"):
        data.load(tmp_path / name)
    monkeypatch.setenv("LAB_DATA", str(tmp_path / name))
    with tells(LabError, tmp_path / name, "cifar-10-python.tar.gz"):
        data.load()


# What it refuses


def _truncated(content):
    return content[:-1_000]


def _flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "cifar-10-python.tar.gz"])
@pytest.mark.parametrize("damage", [_truncated, _flipped])
def test_damaged_file_is_refused_and_named(damage, name, official, tmp_path, tells):
    copy = _copy(official, tmp_path / "copy")
    os.link(official.archive, copy.parent / official.archive.name)
    place = (copy if name in BATCHES else copy.parent) / name
    content = damage(place.read_bytes())
    place.unlink()
    place.write_bytes(content)
    for read in (data.load, data.find):
        with tells(DataDamaged, place, "SHA-256", "again"):
            read(copy if name in BATCHES else place)


def test_missing_batch_and_a_folder_in_its_place_are_refused(official, tmp_path, tells):
    copy = _copy(official, tmp_path)
    (copy / "test_batch").unlink()
    with tells(DataDamaged, copy / "test_batch", "again"):
        data.load(copy)
    (copy / "test_batch").mkdir()
    with tells(DataDamaged, copy / "test_batch", "again"):
        data.load(copy)


def test_code_in_a_batch_does_not_run(official, tmp_path, tells):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    copy, trap = _copy(official, tmp_path), pickle.dumps({b"data": Trap(), b"labels": []}, protocol=3)
    (copy / "data_batch_1").unlink()
    (copy / "data_batch_1").write_bytes(trap)
    with tells(DataDamaged, copy / "data_batch_1", "SHA-256"):
        data.load(copy)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").is_dir(), "the trap itself is broken, so the test showed nothing"


# How it is split


@pytest.fixture(scope="module")
def numbered():
    """A data set in which each image is its own number; test images count on from 50,000."""
    train, test = np.arange(50_000), np.arange(50_000, 60_000)
    return data.Cifar10(train, train, test, test, "CIFAR-10", "", "")


@pytest.mark.parametrize("n_train", [1, np.int64(20_000), 45_000])
@pytest.mark.parametrize("seed", [None, 7])
def test_split_samples_only_training_images(numbered, n_train, seed):
    split = numbered.split(n_train, seed)
    np.testing.assert_array_equal(split.validation.images, np.arange(45_000, 50_000))
    np.testing.assert_array_equal(split.test.images, np.arange(50_000, 60_000))
    for part in split:
        np.testing.assert_array_equal(part.images, part.labels)
    chosen = split.train.images
    if seed is None:
        np.testing.assert_array_equal(chosen, np.arange(n_train))
    else:
        assert len(set(chosen)) == n_train and chosen.max() < 45_000
        np.testing.assert_array_equal(chosen, numbered.split(n_train, seed).train.images)
        assert (chosen != numbered.split(n_train, seed + 1).train.images).any()


@pytest.mark.parametrize("n_train", [0, 45_001, 1.5, 20_000.0, float("nan"), "20000", None, True])
def test_impossible_number_of_training_images_is_refused(numbered, n_train, tells):
    with tells(LabError, f"n_train is {n_train!r}", "45000"):
        numbered.split(n_train)
    with tells(LabError, f"seed is {-1!r}"):
        numbered.split(100, -1)


def test_everything_leaves_no_validation_images(numbered):
    train, validation, test = numbered.everything()
    np.testing.assert_array_equal(train, 2 * [np.arange(50_000)])
    np.testing.assert_array_equal(test, 2 * [np.arange(50_000, 60_000)])
    assert len(validation.images) == len(validation.labels) == 0


def test_looking_at_data_and_results_does_not_start_tensorflow():
    code = """
import sys
import labhelpers.data, labhelpers.evaluation, labhelpers.plots, labhelpers.study.comparison
labhelpers.evaluation.accuracy_interval(1, 2)
print({"tensorflow", "keras", "jax", "torch", "labhelpers.backend"} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")


# A student's own picture


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_picture_of_any_size_and_mode_becomes_what_a_network_sees(mode, tmp_path):
    for size in ((400, 300), (5, 9)):
        Image.new(mode, size, 1).save(tmp_path / "été.png")
        image = data.read_image(tmp_path / "été.png")
        assert image.shape == (32, 32, 3) and image.dtype == np.uint8


def test_picture_is_cut_to_its_middle_and_averaged(tmp_path):
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[::2, 32:96] = 200  # stripes, in the middle square alone
    picture[:, :32] = 255
    Image.fromarray(picture).save(tmp_path / "stripes.png")
    assert (data.read_image(tmp_path / "stripes.png") == 100).all()


def test_picture_taken_upright_is_seen_upright(tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32] = 255
    turned = Image.fromarray(picture).rotate(90)  # as a camera that was turned stores it
    exif = turned.getexif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise"
    turned.save(tmp_path / "photo.png", exif=exif)
    seen = data.read_image(tmp_path / "photo.png")
    assert (seen[:16] == 255).all() and (seen[16:] == 0).all()


def test_file_that_is_missing_or_no_picture_is_reported(tmp_path, tells):
    with tells(LabError, "there is no file", "nowhere.png"):
        data.read_image(tmp_path / "nowhere.png")
    (tmp_path / "letter.png").write_text("Dear Sir")
    for path in (tmp_path / "letter.png", tmp_path):
        with tells(LabError, path.name, "can't be read as a picture"):
            data.read_image(path)

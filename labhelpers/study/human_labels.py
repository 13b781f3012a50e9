"""What human annotators answered on the same test images: CIFAR-10H, 511,000 judgements, about 51 an image.

Peterson et al., "Human uncertainty makes classification more robust", ICCV 2019, arXiv 1908.07086. Here is only the
published total over all images; the answers to each image are in the authors' file (data/README.md).
"""

import hashlib
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import entr

from labhelpers.errors import DataDamaged
from labhelpers.paths import optional_file

COUNTS_FILE = "cifar10h-counts.npy"
COUNTS_SHA256 = "9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff"
TOP = 5  # how many of the most confused pairs are compared

# How often each class (row) got each answer (column), as published.
CONFUSION_MATRIX = np.array(
    [
        [48642, 390, 548, 78, 35, 46, 130, 52, 1025, 154],
        [123, 49670, 19, 55, 17, 16, 19, 8, 39, 1134],
        [180, 36, 48446, 578, 473, 410, 658, 183, 115, 21],
        [67, 60, 716, 46762, 352, 2165, 664, 167, 89, 58],
        [64, 33, 561, 458, 46246, 1041, 370, 2202, 72, 53],
        [14, 14, 285, 1746, 156, 48519, 150, 176, 22, 18],
        [13, 9, 588, 692, 255, 301, 49146, 50, 29, 17],
        [49, 15, 121, 57, 363, 349, 24, 50049, 32, 41],
        [581, 165, 92, 57, 20, 37, 98, 24, 49724, 302],
        [76, 1220, 17, 21, 10, 24, 26, 49, 205, 49452],
    ]
)
ONE_HUMAN = CONFUSION_MATRIX.trace() / CONFUSION_MATRIX.sum()
MAJORITY = 0.9921  # most frequent answer to each image, as published


class Agreement(NamedTuple):
    """How far a network and humans confuse the same pairs of classes."""

    correlation: float  # Spearman's, over all pairs
    shared: int  # how many of the network's `TOP` most confused pairs are among the humans'


def counts() -> np.ndarray | None:
    """Return how many annotators gave each answer to each test image, int, (10000, 10); None without the file.

    Raises:
        DataDamaged: the file is not the authors' one.
    """
    path = optional_file(COUNTS_FILE)
    if path is None:
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != COUNTS_SHA256:
        raise DataDamaged(f"{path} is not CIFAR-10H's file: delete it, or fetch it again, see data/README.md")
    return np.load(path)


def disagreement(answers) -> np.ndarray:
    """Return how far annotators disagree on each image: entropy of their answers in bits, (N,), from counts (N, 10)."""
    return entr(answers / answers.sum(axis=1, keepdims=True)).sum(axis=1) / np.log(2)


def confused_pairs(matrix) -> dict[tuple[int, int], float]:
    """Return how often each pair of classes is mistaken for one another, either way, most often first.

    For each pair of labels `(low, high)` it is the mean of the two shares of its classes' images, 0 to 1, from counts
    (10, 10) whose rows are true classes.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    share = (share + share.T) / 2
    pairs = {pair: float(share[pair]) for pair in combinations(range(len(share)), 2)}
    return dict(sorted(pairs.items(), key=lambda item: -item[1]))


def agreement(matrix) -> Agreement:
    """Compare the pairs that a network confuses with those that humans do; `matrix` as for `confused_pairs`."""
    theirs, ours = confused_pairs(CONFUSION_MATRIX), confused_pairs(matrix)
    shared = {*list(theirs)[:TOP]} & {*list(ours)[:TOP]}
    # Spearman's correlation is that of the ranks; pandas's own would import scipy.stats, which takes a second.
    ranks = [pd.Series([pairs[pair] for pair in theirs]).rank() for pairs in (theirs, ours)]
    return Agreement(float(ranks[0].corr(ranks[1])), len(shared))

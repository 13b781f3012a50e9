"""Find test images that have a near-duplicate among the training images; they can make an accuracy look too high.

The score was fixed before any pair was compared with a published list, ciFAIR (Barz & Denzler 2020, arXiv 1902.00423,
whose authors compared features of a network, then judged pairs by eye). Nothing here was tuned on that list.
"""

import numpy as np
import pandas as pd

from labhelpers import usage
from labhelpers.cifar10 import SIDE
from labhelpers.paths import optional_file, project

FOUND, PUBLISHED = "near_duplicates.csv", "cifair-pairs.csv"
COARSE = 8  # side, in pixels, of the averaged images that are compared first
COMPARED = 2_000  # of the pairs that are most alike at 8x8 pixels, how many the network compares


def nearest(test_images, train_images) -> pd.DataFrame:
    """Find for each test image the training image that is most like it, as it is or mirrored, at 8x8 pixels.

    Args:
        test_images, train_images: uint8, (N, 32, 32, 3).

    Returns:
        A row for each test image: `test` and `train` (their numbers, from 0), `mirrored`, and `correlation` of the
        averaged images, -1 to 1.
    """
    even, odd = _even_and_odd(coarse(test_images))
    train_even, train_odd = _even_and_odd(coarse(train_images))
    found = []
    for start in range(0, len(test_images), 200):  # so that the correlations of some rows fit in the memory
        rows = slice(start, start + 200)
        # Mirroring only changes the sign of the odd part, so these two products give both correlations.
        correlation, sides = even[rows] @ train_even.T, odd[rows] @ train_odd.T
        correlation += np.abs(sides)
        train = correlation.argmax(axis=1)
        at = np.arange(len(train)), train
        found.append(pd.DataFrame({"train": train, "mirrored": sides[at] < 0, "correlation": correlation[at]}))
    return pd.concat(found, ignore_index=True).rename_axis("test").reset_index()


def ranked(cifar, model, n: int = 1_000) -> pd.DataFrame:
    """Return the pairs of a test and a training image that are most alike, the most alike first.

    Of the pairs that `nearest` finds, the best 2,000 are compared once more, by the features that the dense layer of a
    trained network gets. Their score is the mean of two correlations: at 8x8 pixels, and of the features.

    Args:
        cifar: a data set, as `data.load` gives it.
        model: a trained network with a layer named `flatten` before its last dense layer.
        n: how many pairs, at most 2,000.

    Returns:
        A row for each pair: the columns of `nearest`, and `score`.
    """
    from labhelpers.backend import keras

    pairs = nearest(cifar.test_images, cifar.train_images).nlargest(COMPARED, "correlation")
    tested, trained = cifar.test_images[pairs["test"]], cifar.train_images[pairs["train"]]
    trained[pairs["mirrored"]] = trained[pairs["mirrored"], :, ::-1]
    features = keras.Model(model.inputs, model.get_layer("flatten").output)
    first, second = (_standardised(features.predict(images, 500, verbose=0)) for images in (tested, trained))
    pairs["score"] = (pairs["correlation"] + (first * second).sum(axis=1)) / 2
    return pairs.nlargest(n, "score").reset_index(drop=True)


def side_by_side(cifar, pairs: pd.DataFrame) -> np.ndarray:
    """Put the images of each pair side by side, the training image mirrored where that makes them alike.

    Returns:
        uint8, (N, 32, 66, 3): test image, a white gap, training image.
    """
    shown = np.full((len(pairs), SIDE, 2 * SIDE + 2, 3), 255, np.uint8)
    shown[:, :, :SIDE], trained = cifar.test_images[pairs["test"]], cifar.train_images[pairs["train"]]
    trained[pairs["mirrored"]] = trained[pairs["mirrored"], :, ::-1]
    shown[:, :, SIDE + 2 :] = trained
    return shown


def compared(pairs: pd.DataFrame, known: set[int]) -> pd.DataFrame:
    """Compare the first 300, 600 and 1,000 pairs with a list of test images, such as `published`.

    Returns:
        A row for each number of pairs: how many are `in the list`, `recall` (of the list) and `precision` (of the pairs).
    """
    found = pd.Series({n: len(known & {*pairs["test"][:n]}) for n in (300, 600, 1_000)}).rename_axis("pairs")
    return pd.DataFrame({"in the list": found, "recall": found / max(len(known), 1), "precision": found / found.index})


def committed(n: int) -> list[int]:
    """Return the numbers of the `n` test images most like a training image, as notebook 01 wrote them to `figures`.

    Empty if that file is missing.
    """
    usage.note("figures", FOUND)
    path = project() / "figures" / FOUND
    return pd.read_csv(path)["test"].head(n).to_list() if path.exists() else []


def published() -> set[int] | None:
    """Return the numbers of the test images in ciFAIR's list: with a near-duplicate or a very similar training image.

    None without its file, `cifair-pairs.csv` (data/README.md).
    """
    path = optional_file(PUBLISHED)
    return {*pd.read_csv(path)["TestID"]} if path else None


def coarse(images) -> np.ndarray:
    """Average images to 8x8 pixels and standardise each, so that the dot product of two is their correlation.

    Args:
        images: uint8, (N, 32, 32, 3).

    Returns:
        float32, (N, 8, 8, 3); each image has mean 0 and norm 1, or is all 0 if all its numbers were equal.
    """
    block = SIDE // COARSE
    rows = images.reshape(-1, COARSE, block, SIDE * 3).sum(axis=2, dtype=np.uint16)
    sums = rows.reshape(-1, COARSE, COARSE, block, 3).sum(axis=3, dtype=np.uint16)
    return _standardised(sums.reshape(len(images), -1)).reshape(sums.shape)


def _standardised(rows):
    centred = rows - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def _even_and_odd(images):
    """Split images into the part that is the same in their mirror images and the one that changes its sign, as rows."""
    left, right = images[:, :, : COARSE // 2], images[:, :, : COARSE // 2 - 1 : -1]
    return [half.reshape(len(images), -1) for half in ((left + right) / 2**0.5, (left - right) / 2**0.5)]

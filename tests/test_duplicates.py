"""Near-duplicates are found where some were planted, mirrored ones as well."""

import numpy as np
import pandas as pd
import pytest

from labhelpers import data, duplicates, models, paths, standin


@pytest.fixture(scope="module")
def images():
    return standin.draw(0, 1_500)[2]


def test_coarse_images_are_means_whose_dot_product_is_the_correlation(images):
    made = duplicates.coarse(images[:20])
    means = images[:20].reshape(20, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(20, -1)
    rows = made.reshape(20, -1)
    np.testing.assert_allclose(rows @ rows.T, np.corrcoef(means), atol=1e-5)
    assert (duplicates.coarse(np.full((1, 32, 32, 3), 9, np.uint8)) == 0).all(), "one colour: no NaN"


def test_the_nearest_image_is_the_one_with_the_largest_correlation(images):
    test, train = images[:300], images[300:1_500]
    found = duplicates.nearest(test, train)
    rows, others, mirrored = (
        duplicates.coarse(some).reshape(len(some), -1) for some in (test, train, train[:, :, ::-1])
    )
    straight, across = rows @ others.T, rows @ mirrored.T
    best = np.maximum(straight, across)
    assert found["test"].tolist() == list(range(300)) and found["train"].tolist() == best.argmax(axis=1).tolist()
    np.testing.assert_allclose(found["correlation"], best.max(axis=1), atol=1e-5)
    expected = across.max(axis=1) > straight.max(axis=1)
    assert (found["mirrored"] == expected).all() and expected.any() and not expected.all()


def test_changed_copies_are_found_first(images):
    train = images[:1_000]
    brighter = (train[11] * 0.7 + 60).astype(np.uint8)
    shifted = np.roll(train[22], 1, axis=1)
    found = duplicates.nearest(np.array([brighter, shifted, train[33, :, ::-1], *images[1_000:1_200]]), train)
    first = found.nlargest(3, "correlation").sort_values("test")
    assert first["train"].tolist() == [11, 22, 33] and first["mirrored"].tolist() == [False, False, True]


def test_pairs_are_shown_side_by_side_and_compared_with_a_list(images):
    cifar = data.Cifar10(images[:1_000], *[np.empty(0)] * 1, images[1_000:1_100], np.empty(0), "", "", "")
    pairs = pd.DataFrame({"test": [5, 3], "train": [7, 9], "mirrored": [False, True]})
    shown = duplicates.side_by_side(cifar, pairs)
    for number, (test, train) in enumerate([(images[1_005], images[7]), (images[1_003], images[9, :, ::-1])]):
        assert (shown[number, :, :32] == test).all() and (shown[number, :, 34:] == train).all()
    assert (shown[:, :, 32:34] == 255).all() and (cifar.train_images[9] == images[9]).all()
    compared = duplicates.compared(pd.DataFrame({"test": range(2_000)}), {*range(290, 310), 5_000})
    assert compared["in the list"].to_dict() == {300: 10, 600: 20, 1_000: 20}
    assert compared["recall"].tolist() == pytest.approx([10 / 21, 20 / 21, 20 / 21])
    assert compared["precision"].tolist() == pytest.approx([10 / 300, 20 / 600, 20 / 1_000])


def test_the_most_alike_are_compared_by_features_and_their_list_is_read_back(images, tmp_path, monkeypatch):
    train = images[:1_200].copy()
    shifted = np.roll(train[22], 1, axis=1)
    test = np.array([*images[1_300:1_400], shifted, train[33, :, ::-1]])
    cifar = data.Cifar10(train, np.empty(0), test, np.empty(0), "", "", "")
    pairs = duplicates.ranked(cifar, models.load_trained("improved"), n=10)
    assert {(100, 22, False), (101, 33, True)} == {
        *pairs[["test", "train", "mirrored"]].head(2).itertuples(index=False)
    }
    assert len(pairs) == 10 and pairs["score"].is_monotonic_decreasing and pairs["score"].max() <= 1.000_01
    monkeypatch.setattr(duplicates, "project", lambda: tmp_path)
    assert duplicates.committed(3) == []
    (tmp_path / "figures").mkdir()
    pairs.to_csv(tmp_path / "figures" / duplicates.FOUND, index=False)
    assert duplicates.committed(3) == pairs["test"].head(3).tolist()


def test_the_published_list_is_read_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "cifar-10-batches-py"))
    monkeypatch.setattr(paths, "project", lambda: tmp_path / "nowhere")
    assert duplicates.published() is None
    (tmp_path / duplicates.PUBLISHED).write_text("TestID,TrainID,Distance,Judgment\n5,7,0.1,1\n6,7,0.0,0\n8,9,0.2,2\n")
    assert duplicates.published() == {5, 6, 8}

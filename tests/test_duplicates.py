"""Near-duplicates are found where some were planted, mirrored ones as well."""

import numpy as np
import pytest

from labhelpers import duplicates, paths, standin


@pytest.fixture(scope="module")
def images():
    return standin.draw()[2]


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


def test_the_published_list_is_read_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "cifar-10-batches-py"))
    monkeypatch.setattr(paths, "project", lambda: tmp_path / "nowhere")
    assert duplicates.published() is None
    (tmp_path / duplicates.PUBLISHED).write_text("TestID,TrainID,Distance,Judgment\n5,7,0.1,1\n6,7,0.0,0\n8,9,0.2,2\n")
    assert duplicates.published() == {5, 6, 8}

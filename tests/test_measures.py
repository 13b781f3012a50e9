"""Measures are numbers of one run, with `evaluation` as the reference, and are written in their own unit."""

import numpy as np
import pytest
from made_up import record

from labhelpers.errors import LabError
from labhelpers.evaluation import Evaluation
from labhelpers.study import measures
from labhelpers.study.claims import BASE
from labhelpers.study.measures import ACCURACY, LOSS


@pytest.mark.parametrize(
    "measure, fields, value, holds, words",
    [
        (measures.CLASSES, {}, 10, True, "has 10 classes, airplane to truck."),
        (measures.SIDE, {"image_shape": [32, 32, 3]}, 32, True, "have 32x32 pixels."),
        (measures.SIDE, {"image_shape": [30, 40, 3]}, 30, False, "have 30x40 pixels."),
        (measures.BALANCE, {}, 50_000, True, "50,000 training images, 5,000 of each class."),
        (measures.BALANCE, {"train_images_per_class": [4_000, 6_000]}, 10_000, False, "4,000 to 6,000 of each class."),
    ],
)
def test_facts_about_the_data(measure, fields, value, holds, words):
    measured = measure.of(record(BASE, **fields))
    assert measure.exact and (measured.value, measured.holds) == (value, holds)
    assert measure.words.format(**measured.details).endswith(words)


def test_numbers_of_a_run_are_those_of_its_record():
    run = record(BASE, accuracy=0.6, loss=1.2, last_accuracy=0.5, last_loss=1.3, parameters=7)
    for measure, best, last in ((ACCURACY, 0.6, 0.5), (LOSS, 1.2, 1.3)):
        assert measure.of(run) == (best, 0, True, None), "no variance: the claim is about these test images"
        assert measure.last_epoch(run) == last and not measure.exact
    assert measures.PARAMETERS.exact and measures.PARAMETERS.of(run).value == 7


def spread(share, n):
    return share * (1 - share) / n


def test_classes_are_compared_by_their_own_sizes():
    matrix = np.random.default_rng(0).integers(1, 100, (10, 10)) + np.diag(np.arange(100, 200, 10))
    run, evaluation = record(BASE, confusion_matrix=matrix), Evaluation(0, 0, (0, 0), *[None] * 3, matrix)
    animals, vehicles = evaluation.group_errors().itertuples()
    classes = evaluation.per_class().set_index("class")
    cars = classes.loc["automobile"]
    best = classes.drop("automobile").sort_values("accuracy").iloc[-1]
    assert measures.ANIMALS_WITHIN.of(run)[:2] == pytest.approx(
        (animals.share - animals.by_chance, spread(animals.share, animals.errors))
    )
    for measure, one, other in ((measures.VEHICLES_EASIER, vehicles, animals), (measures.CARS_EASIEST, cars, best)):
        variance = spread(one.accuracy, one.images) + spread(other.accuracy, other.images)
        assert measure.of(run)[:2] == pytest.approx((one.accuracy - other.accuracy, variance))


@pytest.mark.parametrize("images", [1_000, 0])
def test_without_mistakes_or_images_there_is_no_difference_and_no_error(images):
    run = record(BASE, confusion_matrix=np.diag([images] * 10))
    assert measures.ANIMALS_WITHIN.of(run)[:2] == (-5 / 9, 0)
    assert measures.VEHICLES_EASIER.of(run)[:2] == measures.CARS_EASIEST.of(run)[:2] == (0, 0)


@pytest.mark.parametrize(
    "measure, arguments, expected",
    [
        (ACCURACY, (0.6032, (0.598, 0.609)), "60.3\u00a0% (59.8 to 60.9)"),
        (ACCURACY, (0.65, None, 0), "65\u00a0%"),
        (ACCURACY.difference, (-0.0004, (-0.051, 0.02)), "0.0 points (−5.1 to 2.0)"),
        (ACCURACY.ratio, (0.15,), "0.15 times the test accuracy"),
        (LOSS, (1.149, (1.1371, 1.161)), "1.149 (1.137 to 1.161)"),
        (LOSS.difference, (0.1,), "0.100"),
        (measures.BALANCE, (50_000,), "50,000"),
    ],
)
def test_a_value_is_written_in_its_own_unit(measure, arguments, expected):
    assert measure.write(*arguments) == expected


def test_only_classes_of_the_data_are_compared(tells):
    with tells(LabError, "the class is 'lorry': choose from 'airplane'"):
        measures.easier("ship", "lorry")


def test_an_axis_has_the_unit_also_where_numbers_are_written_without():
    assert LOSS.axis == "test loss (nats per image)" and ACCURACY.axis == "test accuracy (%)"
    assert LOSS.difference.axis == "difference in test loss (nats per image)"
    assert ACCURACY.difference.axis == "difference in test accuracy (points)"

"""Each exercise takes the right answer, gives a hint on wrong ones, and never tells the solution."""

import re

import numpy as np
import pytest
from made_up import around, confusion, runs, runs_dir, write  # noqa: F401
from scipy import stats

from labhelpers import data, exercises
from labhelpers.errors import LabError
from labhelpers.exercises import check
from labhelpers.reporting import notebooks
from labhelpers.study import improvements, verdicts
from labhelpers.study.claims import BASE, CLAIMS, DEEPER, LARGER


def history(fifth, tenth):
    """Return the history of ten epochs: the fifth is the best, and validation accuracy is as given after two of them."""
    flat = np.full(10, 0.3)
    validation = {"val_accuracy": flat.copy(), "val_loss": np.full(10, 1.6)}
    validation["val_accuracy"][[4, 9]] = fifth, tenth
    validation["val_loss"][4] = 1.1
    return {"loss": flat, "accuracy": flat} | validation


def wider(values):
    """Return how many times as wide the intervals of the mean and of one more run are with the first five values only."""
    ns, spreads = [5, len(values)], [np.std(values[:5], ddof=1), np.std(values, ddof=1)]
    reach = [stats.t.ppf(0.975, n - 1) * spread for n, spread in zip(ns, spreads, strict=True)]
    (few, few_one), (many, many_one) = ((r / n**0.5, r * (1 + 1 / n) ** 0.5) for r, n in zip(reach, ns, strict=True))
    return np.array([few / many, few_one / many_one])


@pytest.fixture
def recorded(runs_dir):  # noqa: F811
    """Runs that make every question have one answer."""
    matrix = confusion()
    matrix[2, 2] -= 300  # birds are hard
    steps = dict.fromkeys(step.experiment for step in improvements.STEPS)
    write(
        runs(BASE, around(0.60, 0.005, 10), confusion_matrix=matrix, history=history(0.4, 0.45)),
        runs(LARGER, around(0.64, 0.005, 10), history=history(0.5, 0.48)),
        runs("baseline-10000", around(0.54, 0.005, 3)),
        runs(DEEPER, around(0.66, 0.004, 10), best_epoch=8, val_loss=0.95),
        runs("deeper-20000", around(0.63, 0.004, 5)),
        runs("deeper-40000-adam-3e-4", around(0.65, 0.004, 5), val_loss=0.94),
        runs("deeper-40000-adam-3e-3", around(0.65, 0.004, 5), val_loss=1.0),
        *(runs(id, [0.65 + 0.02 * number + 0.05 * (number > 1)]) for number, id in enumerate(steps)),
    )


RATES = {1e-2: 2.3, 1e-3: 1.1, 1e-4: 1.3}
RIGHT = {
    "01.1": {"name": "bird"},
    "01.2": {"numbers": 48},
    "02.1": {"letter": "b"},
    "02.2": {"seed": 54_321, "accuracy": 0.6012},
    "02.3": {"val_losses": RATES},
    "02.4": {"right": 0.7, "wrong": 0.5},
    "03.1": {"word": "larger"},
    "03.2": {"gain": 0.05},
    "03.3": {"letter": "c"},
    "04.1": {"word": "no"},
    "04.2": {"network": "baseline"},
    "04.3": {"parameters": 74_946},
    "04.4": {"val_accuracy": 0.73, "seconds": 100.0},
    "05.1": {"accuracy": 0.662},
    "05.2": {"by_validation": 3e-4, "by_test": 1e-3},
    "05.3": {"letter": "b"},
    "06.1": {"number": 476},
    "06.2": {"change": "six convolutions"},
    "07.2": dict(zip(("mean_ratio", "prediction_ratio"), wider(around(0.66, 0.004, 10)), strict=True)),
}
WRONG = [
    (("01.1", "cat"), "1 of the ten were harder"),
    (("01.2", 3_072), "How many blocks"),
    (("01.2", 16), "how many colours"),
    (("02.1", "a"), "validation images are as hard"),
    (("02.1", "c"), "With overfitting"),
    (("02.2", 54_321, 0.7), "practically never has this accuracy"),
    (("02.2", 29, 0.6012), "A run with seed 29 is recorded"),
    (("02.3", RATES | {1e-4: 1.0}), "build a new network for each"),
    (("02.4", 0.5, 0.5), "Split the images"),
    (("02.4", 0.4, 0.6), "classified correctly?"),
    (("02.4", 0.9, 0.05), "at least 0.1"),
    (("02.4", 1, 0.5), "not 1 on average"),
    (("03.1", "smaller"), "compared with how much"),
    (("03.2", 0.03), "twice as many steps"),
    (("03.2", 5.0), "give a share"),
    (("03.2", -0.05), "the wrong sign"),
    (("03.2", 0.1), "mean validation accuracy at the epochs"),
    (("03.3", "a"), "the same classes with every seed"),
    (("03.3", "b"), "it hardly moves"),
    (("04.1", "yes"), "does the best epoch come after the tenth?"),
    (("04.2", "deeper"), "compared with how much"),
    (("04.3", 296_130), "the baseline as it is"),
    (("04.3", 74_854), "has a bias, too"),
    (("04.3", 1), "Count layer by layer"),
    (("04.4", 0.71, 181), "longer than three minutes: fewer channels"),
    (("04.4", 0.73, 181), "training took 181 seconds. Is the computer busy or slow? If not: fewer channels"),
    (("04.4", 0.73, -5), "how many seconds"),
    (("04.4", 0.45, 60), "how many did you use"),
    (("04.4", 0.6, 60), "can have more channels"),
    (("04.4", 73, 60), "0.72 for 72"),
    (("05.1", 0.5), "did you change other settings?"),
    (("05.2", 1e-3, 1e-3), "Validation loss: the smaller the better"),
    (("05.2", 3e-4, 3e-4), "Test accuracy: the mean"),
    (("05.3", "a"), "stopped falling, or risen"),
    (("05.3", "c"), "size of the gradients"),
    (("06.1", 4.8), "how many is it of 10,000?"),
    (("06.1", 500), "What share"),
    (("06.2", "batch normalisation"), "1 of them gain more"),
    (("07.1", 16), "Compare the two columns"),
    (("07.2", *wider(around(0.66, 0.004, 10))[::-1]), "wrong order"),
    (("07.2", *(1 / wider(around(0.66, 0.004, 10)))), "Divide the width from five runs"),
    (("07.2", 1, 1), "high minus low"),
]


@pytest.mark.parametrize("exercise", RIGHT)
def test_right_answers_and_which_are_asked_for(exercise, recorded, tells):
    answers = RIGHT[exercise]
    assert check(exercise, *answers.values()) == "Yes."
    names = ", ".join(answers)
    with tells(LabError, f'exercise {exercise} asks for {names}: check("{exercise}", {names})'):
        check(exercise, *answers.values(), 0)


@pytest.mark.parametrize("answer, words", WRONG, ids=str)
def test_wrong_answers_get_a_hint_without_the_solution(answer, words, recorded):
    hint = check(*answer)
    assert hint.startswith("Not yet. ") and words in hint
    assert not any(str(solution) in hint.split() for solution in RIGHT.get(answer[0], {}).values())


def test_verdicts_are_judged_again_from_five_runs(recorded, runs_dir):  # noqa: F811
    answers = [check("07.1", number) for number in range(len(CLAIMS) + 1)]
    before = [verdict.outcome for verdict in verdicts.verdicts()[0]]
    for path in runs_dir.glob("*-seed1[5-9].json"):
        path.unlink()
    after = [verdict.outcome for verdict in verdicts.verdicts()[0]]
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    assert changed and [number for number, answer in enumerate(answers) if answer == "Yes."] == [changed]


def test_a_run_outside_the_prediction_interval_may_still_be_plausible(recorded):
    assert check("02.2", 54_321, 0.60 - 3 * 0.005) == "Yes."  # one run in a hundred may well be there


def test_mean_colour_is_computed_from_the_data(monkeypatch):
    rng = np.random.default_rng(0)
    labels, test_labels = drawn = rng.integers(0, 10, (2, 2_000))
    images, test_images = (rng.integers(0, 180, (2_000, 4, 4, 3)) + 8 * k[:, None, None, None] for k in drawn)
    cifar = data.Cifar10(images, labels, test_images, test_labels, "CIFAR-10", "", "")
    monkeypatch.setattr(data, "load", lambda: cifar)
    means = np.array([images[labels == label].mean(axis=(0, 1, 2)) for label in range(10)])
    distances = np.linalg.norm(test_images.mean(axis=(1, 2))[:, None] - means, axis=2)
    right = (distances.argmin(axis=1) == test_labels).mean()
    assert check("01.3", right) == "Yes."
    assert "three numbers" in check("01.3", right + 0.1)
    assert "height and width" in check("01.3", right - 0.1)


def test_images_that_all_runs_classify_correctly(recorded, runs_dir, monkeypatch):  # noqa: F811
    best = improvements.STEPS[-1].experiment
    predictions = np.arange(10_000, dtype=np.uint8) % 10
    less = predictions.copy()
    less[:100] = (less[:100] + 1) % 10
    write(runs(best, [0.9, 0.9], predictions=[predictions, less]))
    cifar = data.Cifar10(*[np.empty(0)] * 3, predictions, "CIFAR-10", "", "")
    monkeypatch.setattr(data, "load", lambda: cifar)
    assert check("06.3", 0.99) == "Yes."
    assert "that is the mean accuracy" in check("06.3", 0.995).lower()
    assert "are all runs right?" in check("06.3", 0.5)


def test_every_exercise_that_a_notebook_names_is_there_and_the_other_way_round():
    named = set()
    for path in notebooks.notebook_paths():
        sources = [cell.source for cell in notebooks.read(path).cells]
        numbers = set(re.findall(r'check\("(\d\d\.\d)"', "\n".join(sources)))
        assert {number[:2] for number in numbers} == {path.stem[:2]}
        named |= numbers
    assert named == set(exercises.EXERCISES)


@pytest.mark.parametrize(
    "answer, words",
    [
        (("02.9", 1), "exercise is '02.9': choose from '01.1', "),
        (("02.4", 50, 40), "the answer is 50: give a number from 0 to 1"),
        (("03.1", "more"), "the answer is 'more': choose from 'larger', 'smaller', 'cannot tell'"),
        (("01.2", "48"), "the answer is '48': give a number, such as 0.5, without quotes"),
        (("02.3", {1e-2: 2.3, 1e-3: -1.0, 1e-4: 1.2}), "-1.0 is no loss: a loss is above 0"),
        (("02.3", {1e-2: float("nan"), 1e-3: 1.0, 1e-4: 1.2}), "nan is no loss"),
        (("02.3", {1e-2: "1.1", 1e-3: 1.0, 1e-4: 1.2}), "the answer is '1.1': give a number"),
        (
            ("02.3", {1e-2: 1.9, 5: 1.1, 1e-3: 0.5}),
            "the answer needs three rates: give {1e-2: loss, 1e-3: loss, 1e-4: loss}",
        ),
        (("02.2", 54_321, 60), "the answer is 60: give a number from 0 to 1"),
    ],
)
def test_answers_of_another_kind_are_refused(answer, words, tells):
    with tells(LabError, words):
        check(*answer)


def test_without_records_the_check_says_what_to_run(runs_dir, tells):  # noqa: F811
    with tells(LabError, "runs of deeper-40000 are not recorded yet: run lab study --experiments deeper-40000"):
        check("04.1", "no")


def test_runs_that_cannot_tell_are_an_answer(runs_dir):  # noqa: F811
    means = {"baseline-10000": 0.54, BASE: 0.60, LARGER: 0.64, "deeper-20000": 0.63, DEEPER: 0.66}
    write(*(runs(id, around(mean, 0.02, 3)) for id, mean in means.items()))
    for exercise, others in (("03.1", ("larger", "smaller")), ("04.2", ("baseline", "deeper"))):
        assert check(exercise, "cannot tell") == "Yes."
        assert not any(check(exercise, other) == "Yes." for other in others)

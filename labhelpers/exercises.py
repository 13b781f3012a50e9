"""The notebooks' exercises: `check` answers with a hint, never with the solution.

An exercise is a function of the answer that returns what is wrong with it, or nothing.
"""

import inspect
import math
from collections.abc import Callable
from numbers import Real

import numpy as np

from labhelpers import data
from labhelpers.cifar10 import CLASS_NAMES, N_TEST
from labhelpers.errors import LabError, check_choice
from labhelpers.study import human_labels, improvements, records
from labhelpers.study.experiments import EXPERIMENTS, RATE, experiment
from labhelpers.study.statistics import chance_of_reaching, prediction_interval

EXERCISES: dict[str, Callable[..., str | None]] = {}
NEVER = 0.001  # a probability below which an honest run is no longer to be expected


def check(exercise: str, *answer) -> str:
    """Say whether an answer is right, and else give a hint.

    Args:
        exercise: notebook and number, such as "02.4".
        answer: what the exercise asks for.

    Raises:
        LabError: there is no such exercise, it asks for something else, or it takes runs that are not recorded.
    """
    check_choice("exercise", exercise, EXERCISES)
    asked = inspect.signature(EXERCISES[exercise]).parameters
    if len(answer) != len(asked):
        wanted = ", ".join(asked)
        raise LabError(f'exercise {exercise} asks for {wanted}: check("{exercise}", {wanted})')
    hint = EXERCISES[exercise](*answer)
    return f"Not yet. {hint}" if hint else "Yes."


def _exercise(number):
    def keep(function):
        EXERCISES[number] = function
        return function

    return keep


# 01, the data


@_exercise("01.1")
def _hardest_class(name):
    check_choice("the class", name, CLASS_NAMES)
    right = sum(record.confusion_matrix.diagonal() for record in _runs("baseline-20000"))
    harder = int((right < right[CLASS_NAMES.index(name)]).sum())
    return f"{harder} of the ten were harder for the recorded runs of the baseline." if harder else None


@_exercise("01.2")
def _numbers_left(numbers):
    _are_numbers(numbers)
    if numbers == (32 // 8) ** 2:
        return "And how many colours has each of these places?"
    return None if numbers == 3 * (32 // 8) ** 2 else "How many blocks of 8x8 pixels has an image of 32x32?"


@_exercise("01.3")
def _mean_colour(share):
    _is_share(share)
    cifar = data.load()
    train, test = (images.mean(axis=(1, 2)) for images in (cifar.train_images, cifar.test_images))
    means = np.stack([train[cifar.train_labels == label].mean(axis=0) for label in range(10)])
    nearest = ((test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    right = (nearest == cifar.test_labels).mean()
    if share > right + 0.02:
        return "That is more than colour alone can do: are there just three numbers left of each image?"
    return None if abs(share - right) < 0.002 else "Average over height and width, not over the colours."


# 02, the baseline


@_exercise("02.1")
def _starts_above(letter):
    return _choice(
        letter,
        "b",
        a="The validation images are as hard as the others: compare the last epochs.",
        c="Overfitting shows where the training loss is the smaller one.",
    )


@_exercise("02.2")
def _own_seed(accuracy):
    _is_share(accuracy)
    recorded = [record.accuracy for record in _runs("baseline-20000")]
    if accuracy in recorded:
        return "That is a recorded run's: take a seed of your own."
    if chance_of_reaching(recorded, accuracy) > NEVER:
        return None
    return "A run with these settings practically never falls there: are they those above?"


@_exercise("02.3")
def _best_rate(val_losses):
    if not isinstance(val_losses, dict) or len(val_losses) < 3:
        return "Give the best validation loss of three rates: {1e-2: ..., 1e-3: ..., 1e-4: ...}."
    _are_numbers(*val_losses, *val_losses.values())
    best = min(val_losses, key=val_losses.get)
    return (
        None
        if best == 1e-3
        else f"{best:g} came out best. Were they trained for as many epochs, on as many images?"
    )


@_exercise("02.4")
def _confidence(right, wrong):
    _is_share(right), _is_share(wrong)
    if right == wrong:
        return "Split the images by whether the answer is right, before you average."
    return None if right > wrong else "Which of the two belongs to the images that were answered rightly?"


# 03, more images


@_exercise("03.1")
def _doubling(word):
    check_choice("the answer", word, ("larger", "smaller"))
    means = [_accuracy(f"baseline-{n}") for n in (10_000, 20_000, 40_000)]
    truth = "larger" if means[1] - means[0] > means[2] - means[1] else "smaller"
    return None if word == truth else "Look at the learning curve: where is it steeper?"


@_exercise("03.2")
def _longer(accuracy):
    _is_share(accuracy)
    low, _ = prediction_interval([record.accuracy for record in _runs("baseline-40000")])
    if accuracy <= 0.1:
        return "Guessing would do as well: is it an accuracy, from 0 to 1?"
    return (
        None
        if accuracy < low
        else "That is as good as the larger set: was it the smaller one that you trained on?"
    )


@_exercise("03.3")
def _pattern(letter):
    return _choice(
        letter,
        "c",
        a="Then it should be the same classes with every seed.",
        b="Look at the average over the classes: it hardly moves.",
    )


# 04, the deeper network


@_exercise("04.1")
def _worth_it(word):
    check_choice("the answer", word, ("yes", "no"))
    early = np.mean([record.best_epoch <= 10 for record in _runs("deeper-40000")])
    truth = "no" if early > 0.5 else "yes"
    return (
        None
        if word == truth
        else "In how many of the recorded runs does the best epoch come after the tenth?"
    )


@_exercise("04.2")
def _suffers_more(network):
    check_choice("the network", network, ("baseline", "deeper"))
    losses = {
        "baseline": _accuracy("baseline-40000") - _accuracy("baseline-20000"),
        "deeper": _accuracy("deeper-40000") - _accuracy("deeper-20000"),
    }
    return None if network == max(losses, key=losses.get) else "Compare the differences, not the accuracies."


@_exercise("04.3")
def _pooled_twice(parameters):
    _are_numbers(parameters)
    convolution, dense, logits = 3 * 3 * 3 * 18 + 18, 8 * 8 * 18 * 64 + 64, 64 * 10 + 10
    if parameters == 3 * 3 * 3 * 18 + 8 * 8 * 18 * 64 + 64 * 10:
        return "Each channel and each unit has a bias, too."
    if parameters == convolution + 16 * 16 * 18 * 64 + 64 + logits:
        return (
            "That is the baseline as it is: how many places does the dense layer see after a second pooling?"
        )
    return (
        None
        if parameters == convolution + dense + logits
        else "Count layer by layer: inputs times outputs, and biases."
    )


# 05, the learning rate


@_exercise("05.1")
def _own_rate(accuracy):
    _is_share(accuracy)
    if chance_of_reaching([record.accuracy for record in _runs("deeper-40000")], accuracy) > NEVER:
        return None
    return "That lies far outside of what 0.001 gives: is it the rate, or are other settings changed?"


@_exercise("05.2")
def _chosen_twice(by_validation, by_test):
    _are_numbers(by_validation, by_test)
    _runs("deeper-40000")
    runs = records.table(["deeper-40000", *(one.id for one in EXPERIMENTS if one.group == RATE)])
    means = runs.query("optimizer == 'adam'").groupby("learning_rate")[["val_loss", "accuracy"]].mean()
    if not math.isclose(by_validation, means["val_loss"].idxmin()):
        return "Validation loss: the smaller the better, on average over the runs of a rate."
    return (
        None
        if math.isclose(by_test, means["accuracy"].idxmax())
        else "Test accuracy: the mean over a rate's runs."
    )


@_exercise("05.3")
def _not_done(letter):
    return _choice(
        letter,
        "b",
        a="Then its validation loss would have stopped falling, or risen.",
        c="Adam divides by the size of the gradients, not by that of the rate.",
    )


# 06, the images


@_exercise("06.1")
def _wrong_by_one_person(number):
    _are_numbers(number)
    truth = N_TEST * (1 - human_labels.ONE_HUMAN)
    if math.isclose(number, truth / 100, abs_tol=0.05):
        return "That is per hundred images: how many are it of 10,000?"
    return None if abs(number - truth) < 1 else "What share of the images does one person name rightly?"


@_exercise("06.2")
def _largest_gain(change):
    for step in improvements.STEPS:
        _runs(step.experiment, fewest=1)
    steps = improvements.summary(improvements.runs())
    check_choice("the change", change, list(steps["change"][1:]))
    gains = steps.set_index("change")["gain"]
    return None if change == gains.idxmax() else f"{int((gains > gains[change]).sum())} of them gain more."


# 07, the verdicts


@_exercise("07.1")
def _changed_verdicts(number):
    _are_numbers(number)
    from labhelpers.study import verdicts  # here: other notebooks don't depend on the rules of verdicts

    found, _ = records.read_study()
    all_of_them = [it.outcome for it in verdicts.judge(found)]
    fewer = [it.outcome for it in verdicts.judge({id: runs[:5] for id, runs in found.items()})]
    changed = sum(a != b for a, b in zip(all_of_them, fewer, strict=True))
    return None if number == changed else "Compare the two columns of verdicts, claim by claim."


@_exercise("07.2")
def _luck(probability):
    _is_share(probability)
    truth = chance_of_reaching([record.accuracy for record in _runs("deeper-40000")], 0.665)
    if math.isclose(probability, truth, abs_tol=5e-4):
        return None
    return "67 % is a rounded number: which is the smallest accuracy that rounds to it?"


def _choice(letter, right, **hints):
    check_choice("the answer", letter, sorted([right, *hints]))
    return hints.get(letter)


def _are_numbers(*answers):
    for answer in answers:
        if not isinstance(answer, Real):
            raise LabError(
                f"the answer holds {answer!r}: give a number in its place, such as 0.5, without quotes"
            )


def _is_share(number):
    if not isinstance(number, Real) or not 0 <= number <= 1:
        raise LabError(f"the answer is {number!r}: give a number from 0 to 1")


def _runs(id, fewest=2):
    found, _ = records.read_all(experiment(id))
    if len(found) < fewest:
        raise LabError(
            f"this takes runs of {id}, which are not recorded yet: run lab study --experiments {id}"
        )
    return found


def _accuracy(id):
    return np.mean([record.accuracy for record in _runs(id)])

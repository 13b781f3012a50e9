"""The notebooks' exercises: `check` answers with a hint, never with the solution.

An exercise is a function of the answers that returns whether they are right, or a hint for a mistake that it knows.
"""

import inspect
import math
from numbers import Real

import numpy as np

from labhelpers import data
from labhelpers.cifar10 import CLASS_NAMES, N_TEST
from labhelpers.errors import LabError, check_choice
from labhelpers.evaluation import typeset
from labhelpers.study import human_labels, improvements, records
from labhelpers.study.experiments import EXPERIMENTS, FIRST_FRESH, RATE, experiment
from labhelpers.study.statistics import chance_of_reaching, difference, mean, prediction_interval

EXERCISES: dict[str, tuple] = {}  # by number: the function, what checks the kind of each answer, the hint for others
UNCLEAR = "cannot tell"  # an answer to questions that the recorded runs may not decide
CAN_THEY_TELL = "How far apart are the two differences, compared with how much runs of one kind differ?"
GOAL, MINUTES = 0.72, 3  # validation accuracy of the network to build, and how long it may train
NEVER = 0.001  # a probability too small to be expected of a run with the right settings


class _Sentence(str):
    """A text that a notebook shows as it is, without quotation marks and escapes."""

    __slots__ = ()
    __repr__ = str.__str__


def check(exercise: str, *answers) -> str:
    """Say whether the answers to an exercise are right, or else give a hint.

    Args:
        exercise: notebook and number, such as "02.4".
        answers: what the exercise asks for.

    Raises:
        LabError: there is no such exercise, it asks for other answers, or it needs runs that are not recorded.

    Example:
        >>> check("01.2", 3072)
        Not yet. How many blocks of 8x8 pixels does an image of 32x32 have?
    """
    check_choice("exercise", exercise, EXERCISES)
    function, check_kind, hint = EXERCISES[exercise]
    names = inspect.signature(function).parameters
    if len(answers) != len(names):
        wanted = ", ".join(names)
        raise LabError(f'exercise {exercise} asks for {wanted}: check("{exercise}", {wanted})')
    for answer in answers:
        check_kind(answer)
    right = function(*answers)
    text = f"Not yet. {right}" if isinstance(right, str) else "Yes." if right else f"Not yet. {hint}"
    return _Sentence(typeset(text))


def _exercise(number, check_kind, hint=""):
    def register(function):
        EXERCISES[number] = function, check_kind, hint

    return register


def _number(answer):
    if not isinstance(answer, Real):
        raise LabError(f"the answer is {answer!r}: give a number, such as 0.5, without quotes")


def _share(answer):
    if not isinstance(answer, Real) or not 0 <= answer <= 1:
        raise LabError(f"the answer is {answer!r}: give a number from 0 to 1")


def _losses_by_rate(answer):
    if not isinstance(answer, dict) or set(answer) != {1e-2, 1e-3, 1e-4}:
        raise LabError("the answer needs three rates: give {1e-2: loss, 1e-3: loss, 1e-4: loss}")
    for loss in answer.values():
        _number(loss)
        if not loss > 0:
            raise LabError(f"{loss} is no loss: a loss is above 0")


def _choice(*choices):
    return lambda answer: check_choice("the answer", answer, choices)


def _runs(id, fewest=2):
    runs, _ = records.read_all(experiment(id))
    if len(runs) < fewest:
        raise LabError(f"runs of {id} are not recorded yet: run lab study --experiments {id}")
    return runs


def _sign(estimate, above, below):
    """Return which answer the 95 % interval of a difference gives."""
    return above if estimate.low > 0 else below if estimate.high < 0 else UNCLEAR


def _accuracies(id):
    return [record.accuracy for record in _runs(id)]


@_exercise("01.1", _choice(*CLASS_NAMES))
def _hardest_class(name):
    right = sum(record.confusion_matrix.diagonal() for record in _runs("baseline-20000"))
    harder = (right < right[CLASS_NAMES.index(name)]).sum()
    return harder == 0 or f"{harder} of the ten were harder for the recorded runs of the baseline."


@_exercise("01.2", _number, "How many blocks of 8x8 pixels does an image of 32x32 have?")
def _numbers_left(numbers):
    places = (32 // 8) ** 2
    return "And how many colours does each of these blocks have?" if numbers == places else numbers == 3 * places


@_exercise("01.3", _share, "Average over height and width, not over the colours.")
def _mean_colour(accuracy):
    cifar = data.load()
    train, test = (images.mean(axis=(1, 2)) for images in (cifar.train_images, cifar.test_images))
    means = np.stack([train[cifar.train_labels == label].mean(axis=0) for label in range(10)])
    nearest = ((test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    truth = (nearest == cifar.test_labels).mean()
    if accuracy > truth + 0.02:
        return "That is more than colour alone can do: do you use just three numbers of each image?"
    return abs(accuracy - truth) < 0.002


@_exercise("02.1", _choice("a", "b", "c"), "With overfitting, the training loss is the smaller one.")
def _starts_above(letter):
    easier = "The validation images are as hard as the others: compare the last epochs."
    return easier if letter == "a" else letter == "b"


@_exercise("02.2", _number, "A run with these settings practically never has this accuracy: did you change others?")
def _own_seed(seed, accuracy):
    if seed in experiment("baseline-20000").all_seeds:
        return f"A run with seed {seed} is recorded: choose a seed of your own."
    _share(accuracy)
    return chance_of_reaching(_accuracies("baseline-20000"), accuracy) > NEVER


@_exercise("02.3", _losses_by_rate)
def _best_rate(val_losses):
    best = min(val_losses, key=val_losses.get)
    return best == 1e-3 or f"{best:g} came out best. Does the loop build a new network for each learning rate?"


@_exercise("02.4", _share, "Which of the two belongs to the images that were classified correctly?")
def _confidence(right, wrong):
    if right == wrong:
        return "Split the images by whether the answer is right, before you average."
    if min(right, wrong) < 0.1 or max(right, wrong) == 1:
        return "The largest of ten probabilities is at least 0.1, and not 1 on average: did you take it of each image?"
    return right > wrong


@_exercise("03.1", _choice("larger", "smaller", UNCLEAR), CAN_THEY_TELL)
def _doubling(word):
    few, more, most = (np.array(_accuracies(f"baseline-{n}")) for n in (10_000, 20_000, 40_000))
    return word == _sign(difference(2 * more, few, most), "larger", "smaller")  # (more - few) - (most - more)


@_exercise("03.2", _number, "Take the runs' mean validation accuracy at the epochs with equally many steps.")
def _after_equal_steps(gain):
    few, many = (
        np.mean([record.history["val_accuracy"] for record in _runs(f"baseline-{n}")], axis=0) for n in (20_000, 40_000)
    )
    truth = many[4] - few[9]  # 5 epochs have as many steps as 10 with half the images
    hints = {
        many[9] - few[9]: "After ten epochs of each, the larger set has had twice as many steps.",
        100 * truth: "That is in percentage points: give a share, 0.01 for one point.",
        -truth: "That has the wrong sign: subtract the smaller set's accuracy.",
    }
    if math.isclose(gain, truth, abs_tol=5e-4):
        return True
    return next((hint for wrong, hint in hints.items() if math.isclose(gain, wrong, abs_tol=5e-4)), False)


@_exercise("03.3", _choice("a", "b", "c"), "Look at the average over the classes: it hardly moves.")
def _pattern(letter):
    return "Then it should be the same classes with every seed." if letter == "a" else letter == "c"


@_exercise("04.1", _choice("yes", "no"), "In how many of the recorded runs does the best epoch come after the tenth?")
def _worth_it(word):
    early = np.mean([record.best_epoch <= 10 for record in _runs("deeper-40000")])
    return word == ("no" if early > 0.5 else "yes")


@_exercise("04.2", _choice("baseline", "deeper", UNCLEAR), CAN_THEY_TELL)
def _suffers_more(network):
    ids = ("baseline-40000", "baseline-20000", "deeper-40000", "deeper-20000")
    all, half, all_deeper, half_deeper = map(np.array, map(_accuracies, ids))
    return network == _sign(difference(all, half, all_deeper, -half_deeper), "baseline", "deeper")


@_exercise("04.3", _number, "Count layer by layer: inputs times outputs, and biases.")
def _pooled_twice(parameters):
    convolution, dense, logits, biases = 3 * 3 * 3 * 18, 8 * 8 * 18 * 64, 64 * 10, 18 + 64 + 10
    if parameters == convolution + dense + logits:
        return "Each channel has a bias, too, and so has each number that a dense layer gives."
    if parameters == convolution + 4 * dense + logits + biases:
        return "That is the baseline as it is: how many places does the dense layer see after a second pooling?"
    return parameters == convolution + dense + logits + biases


@_exercise("04.4", _number)
def _own_network(val_accuracy, seconds):
    if not 0 <= val_accuracy <= 1:
        return "The first answer is a share: 0.72 for 72 %."
    if not seconds > 0:
        return "The second answer is how many seconds the training took."
    if seconds > MINUTES * 60:
        busy = f"The goal is reached, but training took {seconds:.0f} seconds. Is the computer busy or slow? If not"
        begin = busy if val_accuracy >= GOAL else "That took longer than three minutes"
        return f"{begin}: fewer channels where the image is large, or larger batches?"
    if val_accuracy < np.mean([record.val_accuracy for record in _runs("baseline-40000")]):
        return "The baseline does better with 40,000 images: how many did you use, and how many epochs?"
    return val_accuracy >= GOAL or (
        "Does the validation loss still fall at the last epoch? Then train longer. If not, add a convolution: pooling after "
        "each makes the maps smaller, so that the next one can have more channels in the same time."
    )


@_exercise("05.1", _share, "That is far from what 0.001 gives: is it the rate, or did you change other settings?")
def _own_rate(accuracy):
    return chance_of_reaching(_accuracies("deeper-40000"), accuracy) > NEVER


@_exercise("05.2", _number, "Test accuracy: the mean over the runs of a rate.")
def _chosen_twice(by_validation, by_test):
    _runs("deeper-40000")
    runs = records.table(["deeper-40000", *(other.id for other in EXPERIMENTS if other.group == RATE)])
    means = runs.query("optimizer == 'adam'").groupby("learning_rate")[["val_loss", "accuracy"]].mean()
    if not math.isclose(by_validation, means["val_loss"].idxmin()):
        return "Validation loss: the smaller the better, averaged over the runs of a rate."
    return math.isclose(by_test, means["accuracy"].idxmax())


@_exercise("05.3", _choice("a", "b", "c"), "Then its validation loss would have stopped falling, or risen.")
def _not_done(letter):
    return "Adam divides by the size of the gradients, not by that of the rate." if letter == "c" else letter == "b"


@_exercise("06.1", _number, "What share of the images does one human annotator classify correctly?")
def _wrong_by_one_person(number):
    truth = N_TEST * (1 - human_labels.ONE_HUMAN)
    if math.isclose(number, truth / 100, abs_tol=0.05):
        return "That is per hundred images: how many is it of 10,000?"
    return abs(number - truth) < 1


@_exercise("06.2", _choice(*(step.change for step in improvements.STEPS[1:])))
def _largest_gain(change):
    for step in improvements.STEPS:
        _runs(step.experiment, fewest=1)
    gains = improvements.summary(improvements.runs()).set_index("change")["gain"]
    larger = (gains > gains[change]).sum()
    return larger == 0 or f"{larger} of them gain more."


@_exercise("06.3", _share, "For each image, are all runs right? Then take the mean over the images.")
def _always_right(share):
    predictions = np.array([record.predictions for record in _runs(improvements.STEPS[-1].experiment)])
    right = predictions == data.load().test_labels
    if math.isclose(share, right.mean()):
        return "That is the mean accuracy of the runs: which images do all of them classify correctly?"
    return math.isclose(share, right.all(axis=0).mean(), abs_tol=5e-4)


@_exercise("07.1", _number, "Compare the two columns of verdicts, claim by claim.")
def _changed_verdicts(number):
    from labhelpers.study import verdicts  # here, so that other notebooks don't depend on the rules of verdicts

    runs, _ = records.read_study()
    fewer = {id: [record for record in of_id if record.seed < FIRST_FRESH + 5] for id, of_id in runs.items()}
    before, after = ([verdict.outcome for verdict in verdicts.judge(found)] for found in (runs, fewer))
    return number == sum(a != b for a, b in zip(before, after, strict=True))


@_exercise("07.2", _number, "Take the first five rows, and of each interval its width: high minus low.")
def _wider(mean_ratio, prediction_ratio):
    runs = [record.accuracy for record in _runs("deeper-40000", fewest=6)]
    five, all = (np.ptp([mean(some)[1:3], prediction_interval(some)], axis=1) for some in (runs[:5], runs))
    answers, truth = (mean_ratio, prediction_ratio), five / all
    if np.allclose(answers, truth[::-1], atol=5e-3):
        return "These are the right numbers in the wrong order."
    if np.allclose(answers, 1 / truth, atol=5e-3):
        return "Divide the width from five runs by the width from all of them."
    return bool(np.allclose(answers, truth, atol=5e-3))

"""Made-up records, with which tests reach every rule of the study."""

from itertools import chain

import numpy as np
import pytest

from labhelpers import cifar10
from labhelpers.cifar10 import ANIMALS, VEHICLES
from labhelpers.study import records
from labhelpers.study.claims import CLAIMS, DEEPER, RATES
from labhelpers.study.experiments import EXPERIMENTS, experiment
from labhelpers.study.verdicts import judge


def claim(id):
    return next(claim for claim in CLAIMS if claim.id == id)


def around(mean, deviation, n):
    """Return n numbers with exactly this mean and sample standard deviation."""
    steps = np.linspace(-1, 1, n)
    return (mean + deviation * steps / steps.std(ddof=1)).tolist()


def confusion(right=0.6, cars=None, vehicles=None, within=0.7):
    """Return 1,000 images a class: shares that are right, and share of the mistakes that name the class's own group."""
    matrix = np.zeros((10, 10), int)
    for group, others in ((VEHICLES, ANIMALS), (ANIMALS, VEHICLES)):
        for label in group:
            share = cars if label == 1 and cars else vehicles if label in VEHICLES and vehicles else right
            matrix[label, label] = round(1_000 * share)
            wrong = 1_000 - matrix[label, label]
            own = [other for other in group if other != label]
            matrix[label, own[0]] += round(wrong * within)
            matrix[label, others[0]] += wrong - round(wrong * within)
    return matrix


def record(id, seed=0, *, accuracy=0.6, loss=1.2, best_epoch=5, val_loss=1.1, **fields):
    """Return a record of one run; `fields` are further ones of `Record`."""
    of = experiment(id)
    val_losses = np.full(of.epochs, val_loss + 0.5)
    val_losses[(of.epochs if of.recipe else best_epoch) - 1] = val_loss
    parameters, multiplications = (44_672, 1_838_720) if of.network == "deeper" else (296_130, 793_216)
    flat = dict.fromkeys(("loss", "accuracy", "val_accuracy"), np.full(of.epochs, 0.5))
    values = {
        "accuracy": accuracy,
        "loss": loss,
        "last_accuracy": accuracy,
        "last_loss": loss + 0.1,
        "confusion_matrix": confusion(),
        "predictions": np.arange(10_000, dtype=np.uint8) % 10,
        "losses": np.linspace(0, 2, 10_000, dtype=np.float16),
        "history": flat | {"val_loss": val_losses},
        "parameters": parameters,
        "multiplications": multiplications,
        "dataset": "CIFAR-10",
        "digest": cifar10.digest(),
        "image_shape": [32, 32, 3],
        "train_images_per_class": [5_000] * 10,
        "test_images_per_class": [1_000] * 10,
        "threads": 1,
        "versions": {"python": "3.12"},
        "processor": "made up",
        "ended": "now",
        "seconds": [60.0] * of.epochs,
    }
    return records.Record(of, seed, **values | fields)


def runs(id, accuracy, first=False, **fields):
    """Return records of an experiment, one for each accuracy; of `fields`, a list has a value for each run.

    Their seeds are those that claims are judged by, unless they are to be the `first` ones.
    """
    fields["accuracy"] = accuracy
    seeds = range(len(accuracy)) if first else experiment(id).judged_seeds

    def of_run(at):
        return {name: value[at] if isinstance(value, list) else value for name, value in fields.items()}

    return [record(id, seeds[at], **of_run(at)) for at in range(len(accuracy))]


def rates(gain, val_loss):
    """Return runs of the deeper network, with a validation loss of 1.0, and of the other learning rates, with this and
    larger ones, which gain this accuracy: the first runs, which choose a rate, and the judged ones."""
    main, values = around(0.65, 0.003, 10), around(0.65 + gain, 0.003, 5)
    losses = {rate: val_loss + number for number, rate in enumerate(RATES)}
    return (
        runs(DEEPER, main, val_loss=1.0),
        *(runs(rate, values, val_loss=loss) for rate, loss in losses.items()),
        *(
            runs(id, [0.6] * 2, first=True, val_loss=loss)
            for id, loss in ({DEEPER: 1.0} | losses).items()
            if experiment(id).fresh
        ),
    )


def write(*of_experiments):
    """Write these records where `records.runs_dir` says."""
    for it in chain(*of_experiments):
        records.write(it)


def found(*of_experiments):
    """Return these records as `records.read_study` does: by the id of each experiment, most of which have none."""
    by_id = {one.id: [] for one in EXPERIMENTS}
    for one in sorted(chain(*of_experiments), key=lambda one: one.seed):
        by_id[one.experiment.id].append(one)
    return by_id


def verdict(id, *of_experiments):
    """Return the verdict on a claim, judged among all the others, from these records."""
    return next(it for it in judge(found(*of_experiments)) if it.claim.id == id)


@pytest.fixture
def runs_dir(tmp_path, monkeypatch):
    """The folder of the records, one of the test's own."""
    monkeypatch.setattr(records, "runs_dir", lambda: tmp_path / "runs")
    return tmp_path / "runs"

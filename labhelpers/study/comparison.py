"""Compare today's run with the original's numbers and with recorded runs, without the modules behind verdicts."""

from statistics import mean, median

import numpy as np
import pandas as pd

from labhelpers import cifar10
from labhelpers.data import Cifar10
from labhelpers.evaluation import Evaluation, Z, percent, typeset
from labhelpers.study import records, statistics
from labhelpers.study.claims import CLAIMS
from labhelpers.study.experiments import experiment
from labhelpers.study.measures import ACCURACY, LOSS


def beside_original(id: str, model, evaluation: Evaluation, cifar: Cifar10, **settings) -> pd.DataFrame:
    """Compare one evaluation on the test set with the original's numbers for the same network.

    Args:
        id: of the experiment that the original's numbers belong to, such as "baseline-20000".
        model: the network that was trained.
        evaluation: of that network, on the test images of `cifar`.
        settings: how it was trained: `n_train`, `epochs`, `batch_size`.

    Returns:
        A row for each measure: `claim`, `network`, `measure`, `original`, `ours`, and the 95 % interval of ours,
        `low` and `high` (Wilson, for one run on new images; the loss has none). `original` is missing where a
        comparison would be unfair: on stand-in images, and with another network or other settings.
    """
    from labhelpers.models import network_name  # starts Keras, which other readers of this module don't need

    ours = {ACCURACY: (evaluation.accuracy, *evaluation.interval), LOSS: (evaluation.loss, None, None)}
    fair = not cifar.is_standin and experiment(id).is_run(model, **settings)
    epochs = "1 epoch" if settings["epochs"] == 1 else f"{settings['epochs']} epochs"
    network = f"{network_name(model)}, {settings['n_train']:,} images, {epochs}"
    rows = []
    for claim in CLAIMS:
        if claim.measure in ours and claim.number is not None and claim.experiments[0] == id:
            original = claim.number if fair else None
            rows.append((claim.id.split()[0], network, claim.measure.name, original, *ours[claim.measure]))
    columns = ["claim", "network", "measure", "original", "ours", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype({"original": float})


def networks(labels: dict[str, str], digest: str) -> pd.DataFrame:
    """Return what the networks of recorded experiments cost and reach, on the data with this digest.

    `labels` are the rows' names, by id.

    Columns: `parameters`, `seconds` of training on two cores (the median: a run takes longer beside other work), and
    `val_accuracy` of the weights that were kept (the mean, 0 to 1). An experiment without records has no row.
    """
    rows = {}
    for id, label in labels.items():
        runs = [run for run in records.read_all(experiment(id))[0] if run.digest == digest]
        if runs:
            seconds = [sum(run.seconds) * run.threads / 2 for run in runs]
            accuracies = [run.val_accuracy for run in runs]
            rows[label] = (runs[0].parameters, median(seconds), mean(accuracies))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["parameters", "seconds", "val_accuracy"])


def on_parts(id: str, tta: bool, labels, parts: dict) -> dict[str, str]:
    """Return the mean accuracy of an experiment's recorded runs on parts of the test images, and two intervals.

    Args:
        id: of the experiment.
        tta: whether with test-time augmentation.
        labels: true classes of the test images, int, (10000,).
        parts: masks of test images, bool, (10000,), by name.

    Returns:
        Texts by name: number of `runs`, those of `parts`, and for all images `interval, seeds` (other runs on these
        images) and `interval, seeds and images` (other images, too): 95 %.
    """
    runs = records.read_all(experiment(id))[0]
    right = np.array([(run.tta_predictions if tta else run.predictions) == labels for run in runs])
    row = {"runs": str(len(runs))} | {name: percent(right[:, kept].mean()) for name, kept in parts.items()}
    share = right.mean()
    for name, variance in ("seeds", 0.0), ("seeds and images", share * (1 - share) / len(labels)):
        _, low, high, *_ = statistics.mean(right.mean(axis=1), variance)
        row[f"interval, {name}"] = f"{100 * low:.1f} to {100 * high:.1f} %"
    return {name: typeset(text) for name, text in row.items()}


def on_held_out(id: str, cifar: Cifar10, held_out, tested) -> dict[str, float]:
    """Compare recorded runs on training images that they were not trained on with the same runs on test images.

    Args:
        id: of an experiment.
        cifar: the data set.
        held_out, tested: masks of the images to compare, bool: (5000,) of `cifar10.HELD_OUT` and (10000,).

    Returns:
        `runs` (those whose records store these predictions), accuracies `held out` and `test`, their `difference`, and
        its 95 % interval for other images of both kinds, `low` and `high`. Only `runs`, 0, if there are none.
    """
    runs = [run for run in records.read_all(experiment(id))[0] if run.held_out_predictions is not None]
    if not runs:
        return {"runs": 0}
    labels = cifar.train_labels[cifar10.HELD_OUT]
    right = np.mean([run.held_out_predictions == labels for run in runs], axis=0)[held_out]  # of each image
    right_test = np.mean([run.predictions == cifar.test_labels for run in runs], axis=0)[tested]
    difference = right.mean() - right_test.mean()
    reach = Z * np.sqrt(right.var() / len(right) + right_test.var() / len(right_test))
    row = {"runs": len(runs), "held out": right.mean(), "test": right_test.mean(), "difference": difference}
    return row | {"low": difference - reach, "high": difference + reach}


def texts_among_runs(accuracies, original: float | None) -> dict[str, str]:
    """Return caption and alternative text of the figure that `plots.among_runs` draws of these accuracies, 0 to 1."""
    low, high = statistics.prediction_interval(accuracies)
    caption = "No runs on these images are recorded."
    if original is not None:
        number, where = percent(original, digits=0), "inside" if low <= original <= high else "outside"
        caption = (
            f"The original's {number} is {where} the grey band, where 95 % of further runs fall: {percent(low)} to "
            f"{percent(high)}."
        )
    alt = (
        "Rows on an axis of test accuracy: recorded runs as dots, their mean with its interval, the prediction interval "
        "as a grey band, today's run if it has the same settings, and the original's number."
    )
    return {"caption": caption, "alt": alt}


def among_runs(accuracies, today: float | None = None) -> str:
    """Describe recorded accuracies of one experiment, 0 to 1, and whether today's is what they lead to expect."""
    if len(accuracies) < 2:
        return "Too few runs on these images are recorded to compare with."
    expected = statistics.prediction_interval(accuracies)
    text = (
        f"The {len(accuracies)} recorded runs range from {percent(accuracies.min())} to {percent(accuracies.max())}, with a "
        f"mean of {percent(accuracies.mean())} and a standard deviation of {100 * accuracies.std():.2f} points. The 95 % "
        f"prediction interval for one more run is {percent(expected.low)} to {percent(expected.high)}"
    )
    if today is not None:
        where = "inside"
        if not expected.low <= today <= expected.high:
            where = "outside: by chance, as one run in twenty, or because more than the seed differs"
        text += f"; today's {percent(today)} is {where}"
    return typeset(f"{text}.")

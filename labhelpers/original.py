"""What the original report stated in numbers, and its results set beside ours.

The report: Corentin Leloup and Wafa Bouzouita, "Lab 2: Deep learning for image classification"
(Master 2 AIC, Image Mining). Claim ids are those of the project's list of its claims.
"""

from dataclasses import dataclass

import pandas as pd

from labhelpers.data import Cifar10
from labhelpers.evaluation import Evaluation


@dataclass(frozen=True)
class Result:
    """A result the report gives: test accuracy (0 to 1), and test loss (nats per image) where it has one.

    `n_train` and `epochs` are the settings it holds for; the report gives no epochs for the deeper network, for
    which solutions of the lab take 10 to 50. Batch size and learning rate are those of the lab's hand-out.
    """

    claim: str
    network: str
    n_train: int
    epochs: range
    accuracy: float
    loss: float | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3

    def holds_for(self, *, epochs: int, **settings) -> bool:
        """Whether a run with these settings can be set beside it."""
        return epochs in self.epochs and all(getattr(self, name) == value for name, value in settings.items())


RESULTS = {
    "baseline": Result("B3", "baseline", 20_000, range(10, 11), accuracy=0.60, loss=1.18),
    "larger_training_set": Result("L1", "baseline", 40_000, range(10, 11), accuracy=0.65),
    "deeper": Result("A2", "deeper", 40_000, range(10, 51), accuracy=0.67),
}


def beside_original(
    result: str, evaluation: Evaluation, cifar: Cifar10, *, n_train: int, epochs: int, **settings
) -> pd.DataFrame:
    """Set one evaluation on the test set beside the report's result of that name in `RESULTS`.

    Args:
        result: a name in `RESULTS`.
        evaluation: ours.
        cifar: the data it is of.
        n_train, epochs: how the network was trained; further settings are `batch_size` and `learning_rate`.

    Returns:
        A row a measure: `claim`, `network`, `measure`, `original`, `ours`, and the 95 % interval of ours, `low`
        and `high` (Wilson, for one run on new images; the loss has none). `original` is missing where it can't
        be compared with: on stand-in images, and with other settings than the report's.
    """
    original = RESULTS[result]
    low, high = evaluation.interval
    rows = [("test accuracy", original.accuracy, evaluation.accuracy, low, high)]
    if original.loss is not None:
        rows.append(("test loss", original.loss, evaluation.loss, None, None))
    table = pd.DataFrame(rows, columns=["measure", "original", "ours", "low", "high"]).astype(
        {"original": float, "low": float, "high": float}
    )
    if cifar.is_standin or not original.holds_for(n_train=n_train, epochs=epochs, **settings):
        table["original"] = float("nan")
    table.insert(0, "network", f"{original.network}, {n_train:,} images, {epochs} epochs")
    table.insert(0, "claim", original.claim)
    return table

"""The configurations the study compares, as data: to add one is to add a line.

An arm is trained once for each of its seeds, which change initial weights and order of the images; the weights are
those of the best validation loss, or, where it has a recipe, of the last epoch. Arms stand in the order in which they
are wanted.
"""

from dataclasses import dataclass, replace

from labhelpers.errors import check_choice
from labhelpers.recipe import BATCH_SIZE, LEARNING_RATE, Recipe


@dataclass(frozen=True)
class Arm:
    """One configuration.

    Attributes:
        name: what its records are called.
        group: the question it helps to answer.
        network: a function of `labhelpers.models`.
        n_train: training images, the first of the set unless drawn; 50,000 leaves none to validate by.
        epochs: passes over them.
        seeds: how many runs, with seeds 0, 1, 2, …
        batch_size, learning_rate, optimizer: as for `training.train`; "nesterov" where there is a recipe.
        initial_weights: "keras", "pytorch" or "whitened", as for `labhelpers.models`.
        drawn: whether each seed trains on a random draw of its own in place of the first images.
        reshuffled: whether each epoch has a new order; Keras's seeded `fit` repeats the first one's.
        recipe: what `fast.train` trains it by; without one, `training.train` does.
    """

    name: str
    group: str
    network: str
    n_train: int
    epochs: int
    seeds: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    initial_weights: str = "keras"
    drawn: bool = False
    reshuffled: bool = True
    recipe: Recipe | None = None

    def matches(self, **settings) -> bool:
        """Whether a run with these settings, such as `n_train=20_000, epochs=10`, is one of this arm."""
        return all(getattr(self, name) == value for name, value in settings.items())

    def continues(self, other: "Arm") -> bool:
        """Whether its runs begin as those of another arm do, seed by seed: all is alike, but it trains for longer."""
        alike = replace(self, name=other.name, group=other.group, seeds=other.seeds, epochs=other.epochs)
        return alike == other and self.epochs > other.epochs


MAIN, CHANGE, CURVE, RATE, OTHER, LADDER = (
    "main",
    "what made the difference",
    "learning curve",
    "learning rate",
    "what else could explain it",
    "ladder",
)


def _rate(optimizer, rate, seeds):
    name = f"deeper-40000-{optimizer}-{rate:.0e}".replace("e-0", "e-")
    options = {"optimizer": optimizer, "learning_rate": rate}
    return Arm(name, RATE, "deeper", 40_000, 20, seeds, **options)


def _rung(
    name, recipe, network="three_blocks", n_train=40_000, epochs=10, seeds=3, initial_weights="whitened"
):
    options = {"batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "optimizer": "nesterov"}
    options |= {"initial_weights": initial_weights, "recipe": recipe}
    return Arm(f"ladder-{name}", LADDER, network, n_train, epochs, seeds, **options)


PLAIN = Recipe(flips_and_shifts=False, label_smoothing=0.0, averaging=False)
MOVED = replace(PLAIN, flips_and_shifts=True)
SMOOTHED = replace(MOVED, label_smoothing=0.2)

ARMS = (
    Arm("baseline-20000", MAIN, "baseline", 20_000, 10, 10),
    Arm("baseline-40000", MAIN, "baseline", 40_000, 10, 10),
    Arm("deeper-40000", MAIN, "deeper", 40_000, 20, 10),
    Arm("baseline-40000-20-epochs", CHANGE, "baseline", 40_000, 20, 5),
    Arm("wider-masks-40000", CHANGE, "wider_masks", 40_000, 20, 5),
    Arm("second-convolution-40000", CHANGE, "second_convolution", 40_000, 20, 5),
    Arm("deeper-40000-10-epochs", CHANGE, "deeper", 40_000, 10, 10),
    Arm("deeper-20000", CHANGE, "deeper", 20_000, 20, 5),
    Arm("baseline-5000", CURVE, "baseline", 5_000, 10, 3),
    Arm("baseline-10000", CURVE, "baseline", 10_000, 10, 3),
    Arm("baseline-30000", CURVE, "baseline", 30_000, 10, 3),
    Arm("baseline-45000", CURVE, "baseline", 45_000, 10, 3),
    _rate("adam", 1e-4, 5),
    _rate("adam", 3e-4, 5),
    _rate("adam", 3e-3, 5),
    _rate("adam", 1e-2, 5),
    _rate("sgd", 1e-3, 3),
    _rate("sgd", 1e-2, 3),
    _rate("sgd", 1e-1, 3),
    Arm("baseline-40000-pytorch-weights", OTHER, "baseline", 40_000, 10, 5, initial_weights="pytorch"),
    Arm("deeper-40000-pytorch-weights", OTHER, "deeper", 40_000, 20, 5, initial_weights="pytorch"),
    Arm("baseline-20000-drawn", OTHER, "baseline", 20_000, 10, 5, drawn=True),
    Arm("baseline-40000-batch-64", OTHER, "baseline", 40_000, 10, 5, batch_size=64),
    Arm("deeper-40000-batch-64", OTHER, "deeper", 40_000, 20, 5, batch_size=64),
    Arm("baseline-40000-one-order", OTHER, "baseline", 40_000, 10, 5, reshuffled=False),
    Arm("deeper-40000-one-order", OTHER, "deeper", 40_000, 20, 5, reshuffled=False),
    # Each changes one thing of the one before it. The first is deeper-40000-10-epochs, trained beside the others, so
    # that the minutes of all are those of one machine.
    Arm("ladder-deeper", LADDER, "deeper", 40_000, 10, 3),
    Arm("ladder-batch-norm", LADDER, "batch_normalized", 40_000, 10, 3),
    Arm("ladder-three-blocks", LADDER, "three_blocks", 40_000, 10, 3),
    _rung("schedule", PLAIN, initial_weights="keras"),
    _rung("flips-and-shifts", MOVED, initial_weights="keras"),
    _rung("smoothing", SMOOTHED, initial_weights="keras"),
    _rung("whitening", SMOOTHED),
    _rung("averaging", Recipe(), seeds=5),
    _rung("all-images", Recipe(), n_train=50_000),
    _rung("width", Recipe(), "three_wide_blocks", n_train=50_000, seeds=2),
    _rung("longer", Recipe(), "three_wide_blocks", n_train=50_000, epochs=12, seeds=5),
)
BY_NAME = {arm.name: arm for arm in ARMS}


def named(name: str) -> Arm:
    """Return the arm of that name.

    Raises:
        LabError: there is none.
    """
    check_choice("arm", name, BY_NAME)
    return BY_NAME[name]

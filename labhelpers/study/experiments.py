"""The experiments of the study, as data, in the order in which `lab study` makes their runs: one line adds another.

An experiment is one configuration, trained once for each of its seeds, which fix initial weights and order of images.
It keeps the weights of the best validation loss, or, with a recipe, those of the last epoch.

The first runs were looked at while the rules of `verdicts` were written, so they can suggest but not confirm. Claims
are therefore judged by fresh runs, with seeds that had never been used when the rules were committed.
"""

from dataclasses import dataclass, replace
from functools import partial

from labhelpers.airbench import Recipe
from labhelpers.errors import check_choice
from labhelpers.quality import LEVELS
from labhelpers.weights import TRAINED

FIRST_FRESH = 10  # the smallest seed of a fresh run


@dataclass(frozen=True)
class Experiment:
    """One configuration."""

    id: str  # names the files of its records and is typed after `--repeat`; never changes
    label: str  # what readers see
    group: str  # the question that it helps to answer
    network: str  # a key of `models.NETWORKS`
    n_train: int  # the first images of the set unless `sampled`; 50,000 leaves none for validation
    epochs: int
    seeds: int  # number of first runs, with seeds 0, 1, 2, …
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: str = "adam"  # or "sgd" with momentum 0.9, or "nesterov" with a recipe
    initial_weights: str = "keras"  # or "pytorch" (`models.start_like_pytorch`), "whitened" (`airbench.initialise`)
    sampled: bool = False  # whether each seed trains on its own random sample of the images
    reshuffled: bool = True  # whether each epoch has a new order; Keras's seeded `fit` repeats the first one
    quality: str = ""  # one of `quality.LEVELS`, to train and test on images of lower quality
    recipe: Recipe | None = None  # remaining hyperparameters of `airbench.fit`; without one, `training.fit` trains it
    fresh: int = 0  # number of fresh runs, with seeds from `FIRST_FRESH` on

    @property
    def judged_seeds(self) -> list[int]:
        """The seeds of the runs that claims are judged by and figures show: the fresh ones, or if it has none all."""
        return list(range(FIRST_FRESH, FIRST_FRESH + self.fresh) or range(self.seeds))

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of its first and its fresh runs, and of the one whose weights are kept in `data/networks`."""
        kept = {seed for id, seed in TRAINED.values() if id == self.id}
        return sorted({*range(self.seeds), *self.judged_seeds, *kept})

    def settings(self) -> dict:
        """Return what its runs depend on, by name: everything but `label`, `group`, `seeds` and `fresh`."""
        return {name: value for name, value in vars(self).items() if name not in ("label", "group", "seeds", "fresh")}

    def build(self, seed: int, **options):
        """Build its network with Keras's initial weights, compiled unless it has a recipe; `options` such as `dtype`."""
        from labhelpers.backend import keras
        from labhelpers.models import NETWORKS

        check_choice("network", self.network, NETWORKS)
        model = NETWORKS[self.network](seed, **options)
        if self.recipe is None:
            optimizers = {"adam": keras.optimizers.Adam, "sgd": partial(keras.optimizers.SGD, momentum=0.9)}
            check_choice("optimizer", self.optimizer, optimizers)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizers[self.optimizer](self.learning_rate), loss, metrics=["accuracy"])
        return model

    def is_run(self, model, *, n_train: int, epochs: int, batch_size: int) -> bool:
        """Return whether a model trained with these settings is one more run of it: same network, loss and optimizer."""
        from labhelpers.models import same_network

        ours = self.build(0)
        settings = (self.n_train, self.epochs, self.batch_size) == (n_train, epochs, batch_size)
        return settings and same_network(ours, model) and _learns(ours) == _learns(model)

    def continues(self, other: "Experiment") -> bool:
        """Return whether it differs from another only by more epochs, so that its runs begin as the other's do."""
        longer = replace(other, id=self.id, epochs=self.epochs)
        return longer.settings() == self.settings() and self.epochs > other.epochs


def _learns(model):
    """Describe the loss and the optimizer that a model is compiled with, whatever their names."""
    parts = [getattr(model, name, None) for name in ("loss", "optimizer")]
    configs = [part.get_config() | {"name": ""} if hasattr(part, "get_config") else part for part in parts]
    return configs, [type(part) for part in parts]


MAIN, CHANGE, CURVE, RATE = "main", "what made the difference", "learning curve", "learning rate"
OTHER, IMPROVEMENTS, QUALITY = "what else could explain it", "improvements", "image quality"


def _variant(main, id, label, group=OTHER, seeds=5, fresh=0, **changes):
    changes |= {"id": f"{main.id}-{id}", "label": f"{main.label}, {label}"}
    return replace(main, group=group, seeds=seeds, fresh=fresh, **changes)


def _rate(optimizer, rate, seeds, fresh=0):
    id, name = f"{optimizer}-{rate:.0e}".replace("e-0", "e-"), {"adam": "Adam", "sgd": "SGD"}[optimizer]
    return _variant(DEEPER, id, f"{name} at {rate:g}", RATE, seeds, fresh, optimizer=optimizer, learning_rate=rate)


def _poorer(main, level):
    # Only fresh runs, compared seed by seed with those of images as they are. Claim A3b rests on those with 16 pixels.
    id, fresh = level.lower().replace(" ", "-"), 5 if level == "16 pixels" else 3
    return _variant(main, id, level, QUALITY, seeds=0, fresh=fresh, quality=level)


def _improved(name, label, recipe=None, *, network="three_blocks", n_train=40_000, epochs=10, seeds=3, **options):
    if recipe:
        fast = {"batch_size": Recipe.BATCH_SIZE, "learning_rate": Recipe.LEARNING_RATE, "recipe": recipe}
        options = fast | {"optimizer": "nesterov", "initial_weights": "whitened"} | options
    label = f"improved network with {label}"
    return Experiment(f"ladder-{name}", label, IMPROVEMENTS, network, n_train, epochs, seeds, **options)


BASE = Experiment("baseline-20000", "baseline, 20,000 images", MAIN, "baseline", 20_000, epochs=10, seeds=10, fresh=20)
LARGER = replace(BASE, id="baseline-40000", label="baseline, 40,000 images", n_train=40_000)
DEEPER = Experiment("deeper-40000", "deeper, 40,000 images", MAIN, "deeper", 40_000, epochs=20, seeds=10, fresh=20)

PLAIN = Recipe(flips_and_shifts=False, label_smoothing=0.0, averaging=False)
AUGMENTED = replace(PLAIN, flips_and_shifts=True)
SMOOTHED = replace(AUGMENTED, label_smoothing=0.2)
WIDE = "three_wide_blocks"
FOUR_TIMES = {"network": WIDE, "n_train": 50_000}
AVERAGED = _improved("averaging", "weight averaging", Recipe(), seeds=5, fresh=10)

EXPERIMENTS = (
    BASE,
    LARGER,
    DEEPER,
    _variant(LARGER, "20-epochs", "20 epochs", CHANGE, epochs=20),
    Experiment("wider-masks-40000", "5x5 kernels, 40,000 images", CHANGE, "wider_masks", 40_000, 20, 5),
    Experiment(
        "second-convolution-40000", "second convolution, 40,000 images", CHANGE, "second_convolution", 40_000, 20, 5
    ),
    _variant(DEEPER, "10-epochs", "10 epochs", CHANGE, seeds=10, fresh=20, epochs=10),
    Experiment("deeper-20000", "deeper, 20,000 images", CHANGE, "deeper", 20_000, 20, 5),
    *(
        replace(BASE, id=f"baseline-{n}", label=f"baseline, {n:,} images", group=CURVE, n_train=n, seeds=3, fresh=0)
        for n in (5_000, 10_000, 30_000, 45_000)
    ),
    _rate("adam", 1e-4, seeds=5),
    # Of these rates, the one with the smallest validation loss in the first runs: the candidate for claim A4.
    _rate("adam", 3e-4, seeds=5, fresh=20),
    *(_rate("adam", rate, seeds=5) for rate in (3e-3, 1e-2)),
    *(_rate("sgd", rate, seeds=3) for rate in (1e-3, 1e-2, 1e-1)),
    _variant(LARGER, "pytorch-weights", "PyTorch's initial weights", initial_weights="pytorch"),
    _variant(DEEPER, "pytorch-weights", "PyTorch's initial weights", initial_weights="pytorch"),
    _variant(BASE, "drawn", "images sampled anew for each seed", sampled=True),
    _variant(LARGER, "batch-64", "batches of 64", batch_size=64),
    _variant(DEEPER, "batch-64", "batches of 64", batch_size=64),
    _variant(LARGER, "one-order", "one order of the images", reshuffled=False),
    _variant(DEEPER, "one-order", "one order of the images", reshuffled=False),
    # Each changes one thing in the one before it. The first has the settings of deeper-40000-10-epochs, and was trained
    # on the same machine as the others, so that training times can be compared.
    Experiment("ladder-deeper", "the original's network, 10 epochs", IMPROVEMENTS, "deeper", 40_000, 10, 3),
    _improved("batch-norm", "batch normalisation", network="batch_normalized"),
    _improved("three-blocks", "six convolutions"),
    _improved("schedule", "the learning-rate schedule", PLAIN, initial_weights="keras"),
    _improved("flips-and-shifts", "data augmentation", AUGMENTED, initial_weights="keras"),
    _improved("smoothing", "label smoothing", SMOOTHED, initial_weights="keras"),
    _improved("whitening", "whitening initialisation", SMOOTHED),
    AVERAGED,
    _improved("all-images", "all images", Recipe(), n_train=50_000),
    _improved("width", "four times the width", Recipe(), **FOUR_TIMES, seeds=2),
    _improved("longer", "twelve epochs", Recipe(), **FOUR_TIMES, epochs=12, seeds=5),
    _improved("longer-40000", "twelve epochs, 40,000 images", Recipe(), network=WIDE, epochs=12, seeds=1),
    *(_poorer(main, level) for main in (DEEPER, AVERAGED) for level in LEVELS),
)


def experiment(id: str) -> Experiment:
    """Return the experiment of that id; a `LabError` says if there is none."""
    by_id = {one.id: one for one in EXPERIMENTS}
    check_choice("experiment", id, by_id)
    return by_id[id]


def by_quality(id: str) -> dict[str, str]:
    """Return the ids of an experiment and of those that differ from it only in `quality`, by that; the first under ""."""
    main = experiment(id).settings() | {"id": "", "quality": ""}
    return {one.quality: one.id for one in EXPERIMENTS if one.settings() | {"id": "", "quality": ""} == main}

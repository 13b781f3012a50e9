"""One run, one record: a JSON file in `data/runs`, written whole or not at all.

The files have keys of their own, which never change, so that fields and classes can be renamed without touching a file.
"""

# ruff: noqa: RUF009 (`_at` declares a field)

import base64
import hashlib
import json
import sys
import zlib
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labhelpers import cifar10, usage
from labhelpers.airbench import Recipe
from labhelpers.errors import LabError
from labhelpers.paths import FREE_SPACE, atomic_write, project
from labhelpers.study.experiments import EXPERIMENTS, Experiment, experiment

# Increase by hand when the training procedure changes; older records then become stale.
SCHEMA_VERSION = 1
# The keys of an experiment's and a recipe's settings, where they are not the names of the fields.
SETTING_KEYS = {"id": "name", "sampled": "drawn"}


class Unusable(LabError):
    """A record that can't be used: damaged, or stale."""


def _at(keys: str, write=lambda value: value, read=lambda value: value, default=MISSING):
    """Declare a field by its place in the file (keys, outermost first), and by how its value is written and read."""
    return field(default=default, metadata={"keys": keys.split("."), "write": write, "read": read})


def _packed(keys, dtype, default=MISSING):
    """Declare a field that holds a long array, which is written compressed, as text."""
    return _at(
        keys,
        lambda array: base64.b64encode(zlib.compress(array.astype(dtype).tobytes(), 9)).decode(),
        lambda text: np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype),
        default,
    )


def _each(convert):
    return lambda items: {name: convert(values) for name, values in items.items()}


@dataclass(frozen=True, eq=False)
class Record:
    """What one run gave. Accuracies are 0 to 1, losses nats per image, both on the test set unless in `history`."""

    experiment: Experiment
    seed: int = _at("seed")
    parameters: int = _at("network.parameters")
    multiplications: int = _at("network.multiplications")  # for one image
    dataset: str = _at("data.name")
    digest: str = _at("data.digest")  # SHA-256
    image_shape: list[int] = _at("data.image_shape")
    train_images_per_class: list[int] = _at("data.train_images_per_class")  # of the whole data set
    test_images_per_class: list[int] = _at("data.test_images_per_class")
    # Per epoch: `loss`, `accuracy`, `val_loss`, `val_accuracy`; the latter two are empty without validation images.
    history: dict[str, np.ndarray] = _at("history", _each(np.ndarray.tolist), _each(np.array))
    loss: float = _at("test.best.loss")  # with the weights of the best epoch
    accuracy: float = _at("test.best.accuracy")
    confusion_matrix: np.ndarray = _at("test.confusion_matrix", np.ndarray.tolist, np.array)  # rows are true classes
    predictions: np.ndarray = _packed("test.predictions", "uint8")  # of each image, as are losses
    losses: np.ndarray = _packed("test.losses", "float16")
    last_loss: float = _at("test.last.loss")  # with the weights of the last epoch
    last_accuracy: float = _at("test.last.accuracy")
    threads: int = _at("threads")
    versions: dict[str, str] = _at("versions")
    processor: str = _at("processor")
    seconds: list[float] = _at("seconds")  # of each epoch
    ended: str = _at("ended")
    precision: str = _at("precision", default="float32")  # one of `backend.PRECISIONS`
    tta_loss: float | None = _at("test.views.loss", default=None)  # with test-time augmentation, if there is a recipe
    tta_accuracy: float | None = _at("test.views.accuracy", default=None)
    tta_predictions: np.ndarray | None = _packed("test.views.predictions", "uint8", None)
    # The probability of the prediction for each test image, 0 to 1. Early records lack it, and what follows: predictions
    # for training images 40,000 to 44,999, if the network was not trained on them.
    confidences: np.ndarray | None = _packed("test.confidences", "float16", None)
    held_out_predictions: np.ndarray | None = _packed("held_out.predictions", "uint8", None)

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, whose weights were kept: with a recipe the last one."""
        if self.experiment.recipe:
            return self.experiment.epochs
        return int(np.argmin(self.history["val_loss"])) + 1

    @property
    def val_loss(self) -> float:
        """Validation loss with the weights that were kept, nats per image; NaN where all images were trained on."""
        return self._of_best_epoch("val_loss")

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy with the weights that were kept, 0 to 1; NaN where all images were trained on."""
        return self._of_best_epoch("val_accuracy")

    def _of_best_epoch(self, name):
        values = self.history[name]
        return float(values[self.best_epoch - 1]) if len(values) else np.nan


def to_json(record: Record) -> dict:
    """Return what the file of a record holds, but for the digest."""
    settings = record.experiment.settings()
    if settings["recipe"]:
        settings["recipe"] = _by_key(asdict(settings["recipe"]))
    content = {"recipe": SCHEMA_VERSION, "arm": _by_key(settings)}
    for declared in fields(Record)[1:]:
        value, place = getattr(record, declared.name), content
        if value is not None:
            *outer, last = declared.metadata["keys"]
            for key in outer:
                place = place.setdefault(key, {})
            place[last] = declared.metadata["write"](value)
    return content


def from_json(content: dict) -> Record:
    """Return the record that a file holds; a field that the file lacks has its default.

    Raises:
        ValueError: it has another schema version or an unknown setting, or lacks a field that has no default.
    """
    if content.get("recipe") != SCHEMA_VERSION:
        raise ValueError(f"schema version {content.get('recipe')}, now {SCHEMA_VERSION}")
    settings = _by_field(Experiment, content["arm"])
    if settings.get("recipe"):
        settings["recipe"] = Recipe(**_by_field(Recipe, settings["recipe"]))
    values: dict[str, Any] = {"experiment": Experiment(**{"label": settings["id"], "group": "", "seeds": 0} | settings)}
    for declared in fields(Record)[1:]:
        held: Any = content
        for key in declared.metadata["keys"]:
            held = (held or {}).get(key)
        if held is not None:
            values[declared.name] = declared.metadata["read"](held)
        elif declared.default is MISSING:
            raise ValueError(f"it has no {'.'.join(declared.metadata['keys'])}")
    return Record(**values)


def _by_key(settings):
    return {SETTING_KEYS.get(name, name): value for name, value in settings.items()}


def _by_field(cls, settings):
    names = {SETTING_KEYS.get(declared.name, declared.name): declared.name for declared in fields(cls)}
    unknown = [key for key in settings if key not in names]
    if unknown:
        raise ValueError(f"its experiment has the unknown setting {unknown[0]}")
    return {names[key]: value for key, value in settings.items()}


def runs_dir() -> Path:
    """Return the folder of the records."""
    return project() / "data" / "runs"


def path_of(experiment: Experiment, seed: int) -> Path:
    """Return where the record of a run is, or would be."""
    return runs_dir() / f"{experiment.id}-seed{seed}.json"


def checkpoint_of(experiment: Experiment, seed: int) -> Path:
    """Return where a run with a recipe keeps its state, from epoch to epoch until its record is written."""
    return runs_dir() / f".{experiment.id}-seed{seed}.checkpoint.npz"


def write(record: Record) -> None:
    """Write a record, whole or not at all, with a digest that shows whether something changed it later."""
    content = to_json(record)
    with atomic_write(path_of(record.experiment, record.seed), FREE_SPACE) as temporary:
        text = json.dumps(content | {"sha256": _digest(content)}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read(experiment: Experiment, seed: int) -> Record | None:
    """Return the record of a run, or None if there is none.

    Raises:
        Unusable: it is damaged, or of another schema version, configuration, seed or data set.
    """
    usage.note("records", experiment.id)
    path = path_of(experiment, seed)
    name = f"data/runs/{path.name}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("sha256") != _digest(content):
            raise ValueError
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Unusable(f"{name} may not be read: make it readable") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unusable(f"{name} is damaged: restore it with git, or let lab study make it anew") from error
    try:
        record = from_json(content)
        if record.digest != cifar10.digest():
            raise ValueError("of other data than CIFAR-10")
        wanted = experiment.settings() | {"seed": seed}
        recorded = record.experiment.settings() | {"seed": record.seed}
        if changed := [name for name in wanted if recorded[name] != wanted[name]]:
            raise ValueError(f"its experiment differs in {', '.join(changed)}")
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{name} is stale ({error}): lab study makes it anew") from error
    return record


def read_all(experiment: Experiment, seeds=None, warn: bool = False) -> tuple[list[Record], list[str]]:
    """Return an experiment's usable records in order of seed, and a line for each other one; `warn` prints it, too.

    `seeds` are those of the runs that claims are judged by, unless given.
    """
    usable, faults = [], []
    for seed in experiment.judged_seeds if seeds is None else seeds:
        try:
            record = read(experiment, seed)
        except Unusable as error:
            faults.append(str(error))
            if warn:
                print(f"WARNING: {error}", file=sys.stderr)
        else:
            usable += [record] if record else []
    return usable, faults


def read_study() -> tuple[dict[str, list[Record]], list[str]]:
    """Return all usable records of every experiment, by its id, and a line for each that can't be used."""
    read = {experiment.id: read_all(experiment, experiment.all_seeds) for experiment in EXPERIMENTS}
    faults = [fault for _, faults in read.values() for fault in faults]
    return {id: usable for id, (usable, _) in read.items()}, faults


def table(ids: list[str], digest: str | None = None) -> pd.DataFrame:
    """Return a row for each usable record of the experiments with these ids; none if `digest` is of other data.

    Records that can't be used are reported on stderr. Columns: `experiment`, `seed`, the settings `n_train`, `epochs`,
    `batch_size`, `optimizer`, `learning_rate` and `quality`, then `accuracy` and `loss` on the test set (0 to 1; nats
    per image), `val_loss` and `best_epoch`.
    """
    settings = ("n_train", "epochs", "batch_size", "optimizer", "learning_rate", "quality")
    results = ("accuracy", "loss", "val_loss", "best_epoch")
    rows = []
    for one in map(experiment, ids):
        for record in read_all(one, warn=True)[0]:
            if digest in (None, record.digest):
                values = [getattr(one, name) for name in settings]
                rows.append([one.id, record.seed, *values, *(getattr(record, name) for name in results)])
    return pd.DataFrame(rows, columns=["experiment", "seed", *settings, *results])


def histories(ids) -> pd.DataFrame:
    """Return a row for each epoch of each usable record of the experiments with these ids.

    Columns: `experiment`, `seed`, its `learning_rate`, `epoch` from 1, and what `Record.history` holds.
    """
    columns = ["experiment", "seed", "learning_rate", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    tables = [pd.DataFrame(columns=columns)]
    for one in map(experiment, ids):
        for record in read_all(one)[0]:
            history = pd.DataFrame({name: pd.Series(values) for name, values in record.history.items()})
            history["experiment"], history["seed"] = one.id, record.seed
            history["learning_rate"], history["epoch"] = one.learning_rate, history.index + 1
            tables.append(history)
    return pd.concat(tables[1:] or tables).reindex(columns=columns)

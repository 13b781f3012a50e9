"""One run, one record: a JSON file in `data/runs`, whole or not there, that anyone can analyse again.

The files have keys of their own, which never change: each field of `Record` names its place, and `SETTING_KEYS` those of
an experiment's settings. So fields, classes and labels can be renamed without touching a file, and a field that a file
lacks has its default.
"""

# ruff: noqa: RUF009 (`_at` declares a field)

import base64
import hashlib
import json
import sys
import zlib
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd

from labhelpers import cifar10, usage
from labhelpers.airbench import Recipe
from labhelpers.errors import LabError
from labhelpers.paths import FREE_SPACE, atomic_write, project
from labhelpers.study.experiments import EXPERIMENTS, Experiment, experiment

# Increase by hand when the training procedure changes; older records then become stale.
SCHEMA_VERSION = 1


class Unusable(LabError):
    """A record that can't be used: damaged, or stale."""


def _at(keys: str, array: str = "", default=MISSING):
    """Declare a field by its place in the file: the keys, outermost first, and how an array is written there.

    `array` is "list", "lists" (a dictionary of them), or the dtype of an array that is packed as text.
    """
    return field(default=default, metadata={"keys": keys.split("."), "array": array})


@dataclass(frozen=True, eq=False)
class Record:
    """What one run gave.

    Attributes:
        experiment: its configuration.
        seed: of the run.
        accuracy, loss: on the test set (0 to 1; nats per image), with the weights of the best epoch.
        last_accuracy, last_loss: the same with the weights of the last epoch.
        confusion_matrix: of the test set, int, (10, 10); rows are true classes.
        predictions: predicted class of each test image, uint8, (10000,).
        losses: of each test image, nats, float16, (10000,).
        history: per epoch, float64 arrays by name: `loss`, `accuracy`, `val_loss`, `val_accuracy`; those of validation
            are empty where all images were trained on.
        parameters, multiplications: of the network; multiplications for one image.
        dataset, digest: name and SHA-256 of the data.
        image_shape: height, width and channels.
        train_images_per_class, test_images_per_class: ten numbers each, of the whole data set.
        threads, precision: of the arithmetic; precisions as `backend.PRECISIONS` names them.
        versions, processor, ended: what it ran on, and when.
        seconds: of each epoch.
        tta_accuracy, tta_loss, tta_predictions: with test-time augmentation, where there is a recipe.
    """

    experiment: Experiment
    seed: int = _at("seed")
    parameters: int = _at("network.parameters")
    multiplications: int = _at("network.multiplications")
    dataset: str = _at("data.name")
    digest: str = _at("data.digest")
    image_shape: list[int] = _at("data.image_shape")
    train_images_per_class: list[int] = _at("data.train_images_per_class")
    test_images_per_class: list[int] = _at("data.test_images_per_class")
    history: dict[str, np.ndarray] = _at("history", "lists")
    loss: float = _at("test.best.loss")
    accuracy: float = _at("test.best.accuracy")
    confusion_matrix: np.ndarray = _at("test.confusion_matrix", "list")
    predictions: np.ndarray = _at("test.predictions", "uint8")
    losses: np.ndarray = _at("test.losses", "float16")
    last_loss: float = _at("test.last.loss")
    last_accuracy: float = _at("test.last.accuracy")
    threads: int = _at("threads")
    versions: dict[str, str] = _at("versions")
    processor: str = _at("processor")
    seconds: list[float] = _at("seconds")
    ended: str = _at("ended")
    precision: str = _at("precision", default="float32")
    tta_loss: float | None = _at("test.views.loss", default=None)
    tta_accuracy: float | None = _at("test.views.accuracy", default=None)
    tta_predictions: np.ndarray | None = _at("test.views.predictions", "uint8", default=None)

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, whose weights were kept: with a recipe the last one."""
        if self.experiment.recipe:
            return self.experiment.epochs
        return int(np.argmin(self.history["val_loss"])) + 1

    @property
    def val_loss(self) -> float:
        """Validation loss with the weights that were kept, nats per image; NaN where all images were trained on."""
        losses = self.history["val_loss"]
        return float(losses[self.best_epoch - 1]) if len(losses) else np.nan


# The keys of an experiment's and a recipe's settings, where they are not the names of the fields.
SETTING_KEYS = {"id": "name", "sampled": "drawn"}


def to_json(record: Record) -> dict:
    """Return what the file of a record holds, but for the digest."""
    settings = record.experiment.settings()
    if settings["recipe"]:
        settings["recipe"] = _by_key(asdict(settings["recipe"]))
    content = {"recipe": SCHEMA_VERSION, "arm": _by_key(settings)}
    for one in fields(Record)[1:]:
        value, inner = getattr(record, one.name), content
        if value is not None:
            *outer, last = one.metadata["keys"]
            for key in outer:
                inner = inner.setdefault(key, {})
            inner[last] = _written(value, one.metadata["array"])
    return content


def from_json(content: dict) -> Record:
    """Return the record that a file holds; a field that the file lacks has its default.

    Raises:
        ValueError: it is of another schema version, has a setting that no field stands for, or lacks a field that
            has no default.
    """
    if content.get("recipe") != SCHEMA_VERSION:
        raise ValueError(f"schema version {content.get('recipe')}, now {SCHEMA_VERSION}")
    settings = _by_field(Experiment, content["arm"])
    if settings.get("recipe"):
        settings["recipe"] = Recipe(**_by_field(Recipe, settings["recipe"]))
    values = {"experiment": Experiment(**{"label": settings["id"], "group": "", "seeds": 0} | settings)}
    for one in fields(Record)[1:]:
        found = content
        for key in one.metadata["keys"]:
            found = found.get(key) if found else None
        if found is not None:
            values[one.name] = _read(found, one.metadata["array"])
        elif one.default is MISSING:
            raise ValueError(f"it has no {'.'.join(one.metadata['keys'])}")
    return Record(**values)


def _by_key(settings):
    return {SETTING_KEYS.get(name, name): value for name, value in settings.items()}


def _by_field(cls, held):
    names = {SETTING_KEYS.get(one.name, one.name): one.name for one in fields(cls)}
    unknown = [key for key in held if key not in names]
    if unknown:
        raise ValueError(f"its experiment has the unknown setting {unknown[0]}")
    return {names[key]: value for key, value in held.items()}


def _written(value, array):
    if array == "lists":
        return {name: values.tolist() for name, values in value.items()}
    if array == "list":
        return value.tolist()
    return base64.b64encode(zlib.compress(value.astype(array).tobytes(), 9)).decode() if array else value


def _read(held, array):
    if array == "lists":
        return {name: np.array(values) for name, values in held.items()}
    if array == "list":
        return np.array(held)
    return np.frombuffer(zlib.decompress(base64.b64decode(held)), array) if array else held


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
    path = path_of(record.experiment, record.seed)
    with atomic_write(path, FREE_SPACE) as temporary:
        text = json.dumps(content | {"sha256": _digest(content)}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def read(experiment: Experiment, seed: int) -> Record | None:
    """Return the record of a run, or None if there is none.

    Raises:
        Unusable: it is damaged, or of another schema version, configuration, seed or data set.
    """
    usage.note("records", experiment.id)
    path = path_of(experiment, seed)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("sha256") != _digest(content):
            raise ValueError
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Unusable(f"{path.name} may not be read: make it readable") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unusable(
            f"{path.name} is damaged: restore it with git, or let lab study make it anew"
        ) from error
    try:
        record = from_json(content)
        _check_is_of(record, experiment, seed)
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path.name} is stale ({error}): lab study makes it anew") from error
    return record


def _check_is_of(record, experiment, seed):
    if record.digest != cifar10.digest():
        raise ValueError("of other data than CIFAR-10")
    wanted, found = (
        experiment.settings() | {"seed": seed},
        record.experiment.settings() | {"seed": record.seed},
    )
    changed = [name for name in wanted if found[name] != wanted[name]]
    if changed:
        raise ValueError(f"its experiment differs in {', '.join(changed)}")


def read_all(experiment: Experiment) -> tuple[list[Record], list[str]]:
    """Return an experiment's usable records in order of seed, and a line for each that can't be used."""
    found, faults = [], []
    for seed in range(experiment.seeds):
        try:
            record = read(experiment, seed)
        except Unusable as error:
            faults.append(str(error))
        else:
            found += [record] * (record is not None)
    return found, faults


def read_study() -> tuple[dict[str, list[Record]], list[str]]:
    """Return the usable records of every experiment, by its id, and a line for each that can't be used."""
    found, faults = {}, []
    for one in EXPERIMENTS:
        found[one.id], unusable = read_all(one)
        faults += unusable
    return found, faults


def table(ids: list[str], digest: str | None = None) -> pd.DataFrame:
    """Return a row for each usable record of the experiments with these ids; none if `digest` is of other data.

    Records that can't be used are reported on stderr. Columns: `experiment`, `seed`, the settings `n_train`, `epochs`,
    `batch_size`, `optimizer` and `learning_rate`, then `accuracy` and `loss` on the test set (0 to 1; nats per image),
    `val_loss` and `best_epoch`.
    """
    settings = ("n_train", "epochs", "batch_size", "optimizer", "learning_rate")
    results = ("accuracy", "loss", "val_loss", "best_epoch")
    rows = []
    for one in map(experiment, ids):
        found, faults = read_all(one)
        for fault in faults:
            print(f"WARNING: {fault}", file=sys.stderr)
        rows += [
            [one.id, record.seed]
            + [getattr(one, name) for name in settings]
            + [getattr(record, name) for name in results]
            for record in found
            if digest in (None, record.digest)
        ]
    return pd.DataFrame(rows, columns=["experiment", "seed", *settings, *results])


def histories(ids) -> pd.DataFrame:
    """Return a row for each epoch of each usable record of the experiments with these ids.

    Columns: `experiment`, `seed`, its `learning_rate`, `epoch` from 1, and what `Record.history` holds.
    """
    of_runs = [
        pd.DataFrame({name: values for name, values in record.history.items() if len(values)}).assign(
            experiment=one.id,
            seed=record.seed,
            learning_rate=one.learning_rate,
            epoch=range(1, len(record.history["loss"]) + 1),
        )
        for one in map(experiment, ids)
        for record in read_all(one)[0]
    ]
    columns = ["experiment", "seed", "learning_rate", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    return pd.concat(of_runs)[columns] if of_runs else pd.DataFrame(columns=columns)


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

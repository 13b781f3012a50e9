"""One run, one record: a JSON file in `data/runs`, whole or not there, that anyone can analyse again."""

import base64
import hashlib
import json
import sys
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from labhelpers.data import official_digest
from labhelpers.errors import LabError
from labhelpers.paths import atomic_write, project
from labhelpers.study.arms import Arm, named

# Raised by hand when training comes to mean something else: records of another recipe are stale.
RECIPE = 1
FREE_SPACE = "free some space there or make it writable"


class Unusable(LabError):
    """A record that can't be used: damaged, or stale."""


@dataclass(frozen=True, eq=False)
class Record:
    """What one run gave.

    Attributes:
        arm: the name of its arm.
        seed: of the run.
        accuracy, loss: on the test set (0 to 1; nats per image), with the weights of the best epoch.
        last_accuracy, last_loss: the same with the weights of the last epoch.
        views_accuracy: the same averaged over views of each image, where the arm has a recipe.
        best_epoch: counted from 1; by a recipe, the last.
        history: per epoch, float64 arrays by name: `loss`, `accuracy`, `val_loss`, `val_accuracy`; those of validation
            are empty where all images were trained on.
        confusion_matrix: of the test set, int, (10, 10); rows are true classes.
        predictions: class of each test image, uint8, (10000,).
        losses: of each test image, nats, float16, (10000,).
        content: all that the file holds.
    """

    arm: str
    seed: int
    accuracy: float
    loss: float
    last_accuracy: float
    last_loss: float
    views_accuracy: float | None
    best_epoch: int
    history: dict[str, np.ndarray]
    confusion_matrix: np.ndarray
    predictions: np.ndarray
    losses: np.ndarray
    content: dict

    @property
    def val_loss(self) -> float:
        """Validation loss with the weights that were kept, nats per image; NaN where all images were trained on."""
        losses = self.history["val_loss"]
        return float(losses[self.best_epoch - 1]) if len(losses) else np.nan


def runs_dir() -> Path:
    """Return the folder of the records."""
    return project() / "data" / "runs"


def path_of(arm: Arm, seed: int) -> Path:
    """Return where the record of a run is, or would be."""
    return runs_dir() / f"{arm.name}-seed{seed}.json"


def checkpoint_of(arm: Arm, seed: int) -> Path:
    """Return where a run by a recipe keeps its state, from epoch to epoch until its record is written."""
    return runs_dir() / f".{arm.name}-seed{seed}.checkpoint.npz"


def write(content: dict, arm: Arm, seed: int) -> None:
    """Write a record, whole or not at all, with a digest that tells if something changes it later."""
    sealed = content | {"sha256": _digest(content)}
    with atomic_write(path_of(arm, seed), FREE_SPACE) as temporary:
        temporary.write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")


def read(arm: Arm, seed: int) -> Record | None:
    """Return the record of a run, or nothing if there is none.

    Raises:
        Unusable: it is damaged, or of another recipe, configuration or data set.
    """
    path = path_of(arm, seed)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop("sha256")
        if seal != _digest(content):
            raise ValueError("its SHA-256 differs")
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Unusable(f"{path.name} may not be read: make it readable") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unusable(
            f"{path.name} is damaged: restore it with git, or let lab study make it anew"
        ) from error
    stale = _staleness(content, arm, seed)
    if stale:
        raise Unusable(f"{path.name} is stale ({stale}): lab study makes it anew")
    test, history = content["test"], content["history"]
    return Record(
        arm=arm.name,
        seed=seed,
        accuracy=test["best"]["accuracy"],
        loss=test["best"]["loss"],
        last_accuracy=test["last"]["accuracy"],
        last_loss=test["last"]["loss"],
        views_accuracy=test.get("views", {}).get("accuracy"),
        best_epoch=arm.epochs if arm.recipe else int(np.argmin(history["val_loss"])) + 1,
        history={name: np.array(values) for name, values in history.items()},
        confusion_matrix=np.array(test["confusion_matrix"]),
        predictions=unpack(test["predictions"], np.uint8),
        losses=unpack(test["losses"], np.float16),
        content=content,
    )


def read_all(arm: Arm) -> tuple[list[Record], list[str]]:
    """Return an arm's usable records in order of seed, and a line for each that can't be used."""
    found, faults = [], []
    for seed in range(arm.seeds):
        try:
            record = read(arm, seed)
        except Unusable as error:
            faults.append(str(error))
        else:
            found += [record] * (record is not None)
    return found, faults


def table(names: list[str], digest: str | None = None) -> pd.DataFrame:
    """Return a row for each usable record of the arms of these names; none if `digest` is of other data.

    What can't be used is told on stderr. Columns: `arm`, `seed`, the arm's `n_train`, `epochs`, `batch_size`,
    `optimizer` and `learning_rate`, then `accuracy` and `loss` on the test set (0 to 1; nats per image), `val_loss` and
    `best_epoch`.
    """
    columns = ("n_train", "epochs", "batch_size", "optimizer", "learning_rate")
    rows = []
    for arm in map(named, names):
        found, faults = read_all(arm)
        for fault in faults:
            print(f"WARNING: {fault}", file=sys.stderr)
        rows += [
            {"arm": arm.name, "seed": record.seed}
            | {name: getattr(arm, name) for name in columns}
            | {"accuracy": record.accuracy, "loss": record.loss}
            | {"val_loss": record.val_loss, "best_epoch": record.best_epoch}
            for record in found
            if digest in (None, record.content["data"]["digest"])
        ]
    return pd.DataFrame(rows, columns=["arm", "seed", *columns, "accuracy", "loss", "val_loss", "best_epoch"])


def histories(names) -> pd.DataFrame:
    """Return a row for each epoch of each usable record of the arms of these names.

    Columns: `arm`, `seed`, the arm's `learning_rate`, `epoch` from 1, and what `Record.history` holds.
    """
    of_runs = [
        pd.DataFrame({name: values for name, values in record.history.items() if len(values)}).assign(
            arm=arm.name,
            seed=record.seed,
            learning_rate=arm.learning_rate,
            epoch=range(1, len(record.history["loss"]) + 1),
        )
        for arm in map(named, names)
        for record in read_all(arm)[0]
    ]
    columns = ["arm", "seed", "learning_rate", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    return pd.concat(of_runs)[columns] if of_runs else pd.DataFrame(columns=columns)


def pack(values: np.ndarray) -> str:
    """Return an array as text."""
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def unpack(text: str, dtype) -> np.ndarray:
    """Return the array that `pack` made into text."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)


def _staleness(content, arm, seed):
    if content.get("recipe") != RECIPE:
        return f"recipe {content.get('recipe')}, now {RECIPE}"
    if content.get("data", {}).get("digest") != official_digest():
        return "of other data than CIFAR-10"
    described = {name: value for name, value in asdict(arm).items() if name not in ("group", "seeds")}
    changed = [name for name, value in described.items() if content["arm"].get(name) != value]
    if changed or content.get("seed") != seed:
        return f"its arm differs in {', '.join(changed) or 'seed'}"
    return None


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

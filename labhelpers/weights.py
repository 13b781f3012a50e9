"""Weights of trained networks, kept as float16 numbers in `data/networks`, one file for each run.

It does without TensorFlow, so that the study can ask which runs these are.
"""

from pathlib import Path
from typing import Any

import numpy as np

from labhelpers import usage
from labhelpers.errors import LabError
from labhelpers.paths import project

# For each network that `models.load_trained` knows: experiment and seed of the run that trained it.
TRAINED = {
    "baseline": ("baseline-20000", 10),
    "deeper": ("deeper-40000", 10),
    "improved": ("ladder-averaging", 10),
    "best": ("ladder-longer", 10),
}


def path_of(id: str, seed: int) -> Path:
    """Return where the weights of a run are, or would be; the file has the name of the run's record."""
    return project() / "data" / "networks" / f"{id}-seed{seed}.npz"


def write(path: Path, run: str, arrays: list[np.ndarray]) -> None:
    """Write the weights of a network, in Keras's order, and the name of the run that they belong to.

    Raises:
        LabError: a weight is NaN or beyond float16, whose largest number is 65,504.
    """
    with np.errstate(over="ignore"):
        halves: dict[str, Any] = {f"weight_{i}": array.astype(np.float16) for i, array in enumerate(arrays)}
    if not all(np.isfinite(half).all() for half in halves.values()):
        raise LabError(f"the network of {run} has a weight that float16 can't hold: choose a run with smaller weights")
    with path.open("wb") as file:
        np.savez_compressed(file, run=run, **halves)


def read(name: str, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return the weights of a network in `TRAINED` as float32.

    Raises:
        LabError: the file is missing, damaged, of another run, or has weights of other shapes.
    """
    id, seed = TRAINED[name]
    path = path_of(id, seed)
    usage.note("networks", path.stem)
    remedy = f"restore it with git, or make it anew with lab study --keep-weights {id} {seed}"
    try:
        with path.open("rb") as file, np.load(file) as saved:
            arrays = [saved[f"weight_{i}"].astype(np.float32) for i in range(len(shapes))]
            fits = (str(saved["run"]), len(saved.files)) == (path.stem, len(shapes) + 1)
    except OSError as error:
        raise LabError(f"{path} can't be read ({error.strerror or error}): {remedy}") from error
    except Exception as error:  # NumPy and zipfile raise many kinds if a file is damaged
        raise LabError(f"{path} is damaged: {remedy}") from error
    if not fits or [array.shape for array in arrays] != shapes:
        raise LabError(f"{path} is of another run or network: {remedy}")
    return arrays

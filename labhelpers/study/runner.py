"""Make the records that are missing, most wanted first, on all cores or on a cluster; continue where it stopped."""

import contextlib
import os
import platform
import sys
import threading
import time
import warnings
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labhelpers import cifar10, data, machine
from labhelpers.errors import CheckpointUnusable, LabError, TrainingDiverged, check_whole_number
from labhelpers.paths import FREE_SPACE, exclusive, writing
from labhelpers.progress import progress
from labhelpers.study import records
from labhelpers.study.experiments import EXPERIMENTS, Experiment, experiment
from labhelpers.study.records import Record

HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy")
VERSIONS = ("tensorflow", "keras", "numpy", "labhelpers")


class Unit(NamedTuple):
    """One run that is wanted."""

    experiment: Experiment
    seed: int


def missing(ids=(), seeds=None) -> tuple[list[Unit], list[str]]:
    """Return the runs without a usable record, most wanted first, and a line for each damaged or stale record.

    Args:
        ids: of experiments; none means all.
        seeds: how many of an experiment's seeds, at most; `None` means all.
    """
    chosen = [experiment(id) for id in ids] or EXPERIMENTS
    if seeds is not None:
        check_whole_number("seeds", seeds, 1)
    groups = list(dict.fromkeys(one.group for one in EXPERIMENTS))
    wanted, faults = [], []
    for one in chosen:
        usable, unusable = records.read_all(one)
        faults += unusable
        recorded = {record.seed for record in usable}
        wanted += [Unit(one, seed) for seed in range(one.seeds)[:seeds] if seed not in recorded]
    # By seed within a group: a study that is cut off leaves experiments to be compared with equal numbers of runs.
    return sorted(wanted, key=lambda unit: (groups.index(unit.experiment.group), unit.seed)), faults


def study(ids=(), seeds=None, *, workers=None, scheduler=None) -> int:
    """Make the missing records; returns how many were made.

    Args:
        ids, seeds: which, as for `missing`.
        workers: processes of one thread each; `None` means one per core: two of them do more than one with two
            threads (tests/benchmarks).
        scheduler: address of a Dask scheduler, `tcp://…`, whose workers train instead.

    Raises:
        LabError: another study is running, the data is not CIFAR-10, a training failed, or the disk is full.
    """
    if workers is not None:
        check_whole_number("workers", workers, 1)
    if not missing(ids, seeds)[0]:
        return 0
    with _alone():
        units, faults = missing(ids, seeds)
        for fault in faults:
            print(f"WARNING: {fault}", file=sys.stderr)
        source = _cifar10()
        print(f"runs to make: {len(units)}", flush=True)
        failed = []
        with progress(len(units), "study", unit="run") as bar, _cluster(scheduler, workers) as run:
            for done, (unit, record, fault) in enumerate(run(units, source), 1):
                if fault:
                    failed.append(f"{unit.experiment.id}, seed {unit.seed}: {fault}")
                else:
                    records.write(record)
                    records.checkpoint_of(*unit).unlink(missing_ok=True)
                bar.update()
                if bar.disable:
                    print(f"{done} of {len(units)}: {unit.experiment.id}, seed {unit.seed}", flush=True)
    if failed:
        raise LabError(f"{len(failed)} of {len(units)} runs gave no record: {'; '.join(failed)}")
    return len(units)


def run_one(experiment: Experiment, seed: int, source: str, threads: int = 1, precision: str | None = None) -> Record:
    """Train and test once, in a process that has not started Keras yet.

    `precision` is for networks with a recipe; `None` takes the one that `backend.precision` chooses.
    """
    os.environ.setdefault("LAB_THREADS", str(threads))
    os.environ["LAB_PROGRESS"] = "0"
    from labhelpers import airbench, backend, models

    cifar = _load(source)
    if experiment.n_train > cifar10.N_TRAINABLE:
        split = cifar.everything()
    else:
        split = cifar.split(experiment.n_train, seed=seed if experiment.sampled else None)
    # The networks without a recipe are small: their records were made in float32, and lower precision gains nothing.
    options = {"dtype": precision or backend.precision()[0]} if experiment.recipe else {}
    model = experiment.build(seed, **options)
    if experiment.initial_weights == "pytorch":
        models.start_like_pytorch(model, seed)
    elif experiment.initial_weights == "whitened":
        airbench.initialise(model, split.train.images)
    history = _train(model, split, experiment, seed)
    costs = models.layer_costs(model)
    return Record(
        experiment,
        seed,
        **_tested(model, split.test, history, tta=experiment.recipe is not None),
        history={name: np.array(history.history.get(name, [])) for name in HISTORY},
        parameters=int(costs["parameters"].sum()),
        multiplications=int(costs["multiplications"].sum()),
        dataset=cifar.name,
        digest=cifar.digest,
        image_shape=list(cifar.train_images.shape[1:]),
        train_images_per_class=np.bincount(cifar.train_labels).tolist(),
        test_images_per_class=np.bincount(cifar.test_labels).tolist(),
        threads=backend.THREADS,
        precision=options.get("dtype", backend.PRECISIONS[0]),
        versions={"python": platform.python_version()} | {name: metadata.version(name) for name in VERSIONS},
        processor=machine.processor(),
        seconds=np.round(history.seconds, 3).tolist(),
        ended=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _train(model, split, experiment, seed):
    """Train as the experiment says; with a recipe also with a checkpoint, since that can take an hour."""
    from labhelpers import airbench, training

    x, y = split.train
    settings = {"epochs": experiment.epochs, "batch_size": experiment.batch_size, "seed": seed}
    if experiment.recipe is not None:
        settings |= {"learning_rate": experiment.learning_rate, "recipe": experiment.recipe}
        settings |= {"validation_data": split.validation if len(split.validation.labels) else None}
        checkpoint = records.checkpoint_of(experiment, seed)
        try:
            return airbench.fit(model, x, y, checkpoint=checkpoint, **settings)
        except CheckpointUnusable:  # damaged, or of other settings: no one can use it
            checkpoint.unlink()
            return airbench.fit(model, x, y, checkpoint=checkpoint, **settings)
    if not experiment.reshuffled:  # all epochs have the order that the first one would have
        order = np.random.default_rng([seed, 1]).permutation(len(y))
        x, y = x[order], y[order]
        settings["shuffle"] = False
    try:
        return training.fit(model, x, y, validation_data=split.validation, **settings)
    except TrainingDiverged as error:
        if error.history is None:
            raise
        return error.history  # it diverged after its best epoch, and that is a result, too


def _tested(model, part, history, tta) -> dict:
    """Test the weights of the best epoch, and those of the last, or with a recipe test-time augmentation."""
    from labhelpers import airbench, training
    from labhelpers.evaluation import evaluate

    best = evaluate(part.labels, training.predict(model, part.images))
    names = ("accuracy", "loss", "confusion_matrix", "predictions", "losses")
    tested = {name: getattr(best, name) for name in names}
    if tta:
        last, augmented = best, evaluate(part.labels, airbench.predict(model, part.images))
        tested |= {f"tta_{name}": getattr(augmented, name) for name in ("loss", "accuracy", "predictions")}
    else:
        model.set_weights(history.last_weights)
        last = evaluate(part.labels, training.predict(model, part.images))
    return tested | {"last_loss": last.loss, "last_accuracy": last.accuracy}


def repeat(id: str, seed: str) -> str:
    """Train one run again; returns lines that compare it with its record and with the experiment's other runs.

    Raises:
        LabError: there is no such experiment, or no usable record of that seed.
    """
    # Imported here, since it imports SciPy, which a study with nothing to do need not wait for.
    from labhelpers.study.comparison import among_runs

    repeated = experiment(id)
    if not seed.isdecimal() or int(seed) not in range(repeated.seeds):
        raise LabError(f"SEED is {seed}: {id} has seeds 0 to {repeated.seeds - 1}")
    record = records.read(repeated, int(seed))
    if record is None:
        raise LabError(f"there is no record of {id} with seed {seed} yet: run lab study --experiments {id}")
    checkpoint = records.checkpoint_of(repeated, record.seed)
    checkpoint.unlink(missing_ok=True)  # of a run that was cut off: this one must begin anew
    again = run_one(repeated, record.seed, _cifar10(), record.threads, record.precision)
    checkpoint.unlink(missing_ok=True)
    recorded, trained = records.to_json(record), records.to_json(again)
    differing = [key for key in recorded if key not in ("seconds", "ended") and recorded[key] != trained[key]]
    lines = [
        f"differs from the record in: {', '.join(differing)}"
        if differing
        else "the same record, but for seconds and date",
        f"test accuracy {again.accuracy:.4f}; recorded {record.accuracy:.4f}",
        among_runs(records.table([id])["accuracy"], again.accuracy),
    ]
    return "\n".join(lines)


@cache
def _load(source):
    return data.load(source)


def _cifar10() -> str:
    source = data.find()
    if source.is_standin:
        raise LabError("the study needs CIFAR-10, not stand-in images: unset LAB_DATA or name CIFAR-10")
    return str(Path(source.source).absolute())


def _alone():
    """Lock the folder of records, so that two studies at once don't train the same."""
    folder = records.runs_dir()
    busy = f"another lab study is at work in {folder}: wait for it, it makes the same"
    with writing(folder, FREE_SPACE):
        return exclusive(folder / ".lock", busy)


@contextlib.contextmanager
def _cluster(scheduler, workers):
    """Give a function that runs units somewhere and yields each with its record, in any order."""
    import joblib

    os.environ["LAB_THREADS"] = "1"  # for the processes that are started from here
    # When workers are interrupted, loky's resource tracker cleans up after them and warns about it on stderr. It is a
    # process of its own, which only this variable reaches.
    ignored = [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, ignored))
    # Loky replaces a worker whose memory has grown, and warns about it; no run is lost.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    if scheduler:
        where, options, parent = _dask(scheduler), {}, None
    else:
        options = {"n_jobs": workers or joblib.cpu_count(), "backend": "loky"}
        where, parent = contextlib.nullcontext(), os.getpid()
    with where:
        # Each unit is a task of its own, so that its record is written as soon as its run has ended. All are submitted
        # at once, since joblib doesn't know how many workers a cluster has.
        options |= {"return_as": "generator_unordered", "batch_size": 1, "pre_dispatch": "all"}
        train = joblib.delayed(_unit_and_record)
        yield lambda units, source: joblib.Parallel(**options)(train(unit, source, parent) for unit in units)


@contextlib.contextmanager
def _dask(scheduler):
    """Let joblib send its work to a Dask cluster; if a worker dies, Dask gives its units to another."""
    import joblib

    try:
        from distributed import Client
    except ImportError:
        raise LabError("--scheduler needs Dask: pip install -e '.[cluster]'") from None
    try:
        client = Client(scheduler, timeout=5)
    except (OSError, ValueError) as error:
        raise LabError(f"there is no Dask scheduler at {scheduler}: start one with dask scheduler") from error
    with client, joblib.parallel_config("dask"):
        yield


@cache  # one watching thread for each process, however many units it gets
def _end_with(parent):
    """End this process soon after its parent: joblib's workers outlive one that was killed, and go on training."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _unit_and_record(unit, source, parent):
    # Not in the parent itself, where a single worker works, nor on a cluster, where Dask ends its workers.
    if os.getppid() == parent:
        _end_with(parent)
    try:
        return unit, run_one(*unit, source), None
    except TrainingDiverged as error:  # in its first epoch; the other runs go on
        return unit, None, str(error)
    except LabError as error:
        raise LabError(f"{unit.experiment.id}, seed {unit.seed}: {error}") from error

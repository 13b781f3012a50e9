"""Make the records that are missing, most wanted first, on all cores or on a cluster; continue where it stopped."""

import contextlib
import os
import platform
import threading
import time
import warnings
from collections import Counter
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from labhelpers import cifar10, data, machine, quality, weights
from labhelpers.errors import CheckpointUnusable, LabError, TrainingDiverged, check_choice, check_whole_number
from labhelpers.paths import FREE_SPACE, atomic_write, exclusive, writing
from labhelpers.progress import progress
from labhelpers.study import records
from labhelpers.study.experiments import EXPERIMENTS, Experiment, experiment
from labhelpers.study.records import Record

HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy")
VERSIONS = ("tensorflow", "keras", "numpy", "labhelpers")
_load = cache(data.load)  # by a process that makes several runs


def missing(ids=(), seeds=None) -> list[tuple[Experiment, int]]:
    """Return experiment and seed of each run that has no usable record, most wanted first.

    Args:
        ids: of experiments; none means all.
        seeds: how many of an experiment's seeds, at most; `None` means all.
    """
    if seeds is not None:
        check_whole_number("seeds", seeds, 1)
    wanted = []
    for tested in [experiment(id) for id in ids] or EXPERIMENTS:
        recorded = {record.seed for record in records.read_all(tested, tested.all_seeds, warn=True)[0]}
        wanted += [(tested, seed) for seed in tested.all_seeds[:seeds] if seed not in recorded]
    # By seed within a group: a study that is cut off leaves experiments to be compared with equal numbers of runs.
    groups = [one.group for one in EXPERIMENTS]
    return sorted(wanted, key=lambda run: (groups.index(run[0].group), run[1]))


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
    folder = records.runs_dir()
    with writing(folder, FREE_SPACE):
        lock = exclusive(folder / ".lock", f"another lab study is at work in {folder}: wait for it, it makes the same")
    with lock:
        wanted = missing(ids, seeds)
        if not wanted:
            return 0
        import joblib  # here, since a study with nothing to do need not wait for it

        workers = workers or min(machine.threads(), joblib.cpu_count())  # the latter knows the limits of a container
        results = _run_all(wanted, _cifar10(), scheduler, workers)
        print(f"runs to make: {len(wanted)}{_how_long(wanted, workers)}", flush=True)
        failed = []
        with progress(len(wanted), "study", unit="run") as bar:
            for done, (tested, seed, result) in enumerate(results, 1):
                name = f"{tested.id}, seed {seed}"
                if isinstance(result, str):
                    failed.append(f"{name}: {result}")
                else:
                    records.write(result)
                    records.checkpoint_of(tested, seed).unlink(missing_ok=True)
                bar.update()
                if bar.disable:
                    print(f"{done} of {len(wanted)}: {name}", flush=True)
    if failed:
        raise LabError(f"{len(failed)} of {len(wanted)} runs gave no record: {'; '.join(failed)}")
    return len(wanted)


def _how_long(wanted, workers) -> str:
    """Say how many hours runs take, going by the times of recorded ones of the same experiments."""
    seconds, known = 0.0, 0
    for tested, runs in Counter(tested for tested, _ in wanted).items():
        if times := [sum(record.seconds) for record in records.read_all(tested, tested.all_seeds)[0]]:
            seconds, known = seconds + runs * float(np.median(times)), known + runs
    if not known:
        return ""
    of_known = "" if known == len(wanted) else f" for {known} of them"
    return f", about {seconds / workers / 3600:.1f} hours{of_known} with {workers} workers, going by recorded runs"


def run_one(
    experiment: Experiment, seed: int, source: str, threads: int = 1, precision: str | None = None, save_as=None
) -> Record:
    """Train and test once, in a process that has not started Keras yet.

    `precision` is for networks with a recipe; `None` takes the one that `backend.precision` chooses. `save_as` is a file
    for the weights of the network as it was tested.
    """
    os.environ.setdefault("LAB_THREADS", str(threads))
    os.environ["LAB_PROGRESS"] = "0"
    from labhelpers import airbench, backend, models

    cifar, n = _load(source), experiment.n_train
    split = cifar.everything() if n > cifar10.N_TRAINABLE else cifar.split(n, seed=seed if experiment.sampled else None)
    if experiment.quality:
        split = data.Split(*(data.Images(quality.lower(x, experiment.quality), y) for x, y in split))
    # The networks without a recipe are small: their records were made in float32, and lower precision gains nothing.
    options = {"dtype": precision or backend.precision()[0]} if experiment.recipe else {}
    model = experiment.build(seed, **options)
    if experiment.initial_weights == "pytorch":
        models.start_like_pytorch(model, seed)
    elif experiment.initial_weights == "whitened":
        airbench.initialise(model, split.train.images)
    history = _train(model, split, experiment, seed)
    if save_as:
        weights.write(save_as, records.path_of(experiment, seed).stem, model.get_weights())
    costs = models.layer_costs(model)
    return Record(
        experiment,
        seed,
        **_tested(model, split.test, _held_out(cifar, experiment), history, tta=experiment.recipe is not None),
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


def _held_out(cifar, experiment):
    """Return the images that a run answers besides the test images: those of `HELD_OUT`, unless it trained on them."""
    unseen = experiment.n_train <= cifar10.HELD_OUT.start and not experiment.sampled and not experiment.quality
    return cifar.train_images[cifar10.HELD_OUT if unseen else slice(0)]


def _tested(model, part, held_out, history, tta) -> dict:
    """Test the weights of the best epoch, and those of the last, or with a recipe test-time augmentation."""
    from labhelpers import airbench, training
    from labhelpers.evaluation import evaluate

    best = evaluate(part.labels, training.predict(model, part.images))
    names = ("accuracy", "loss", "confusion_matrix", "predictions", "losses", "confidences")
    tested = {name: getattr(best, name) for name in names}
    if len(held_out):
        tested["held_out_predictions"] = training.predict(model, held_out).argmax(axis=1)
    if tta:
        last, augmented = best, evaluate(part.labels, airbench.predict(model, part.images))
        tested |= {f"tta_{name}": getattr(augmented, name) for name in ("loss", "accuracy", "predictions")}
    else:
        model.set_weights(history.last_weights)
        last = evaluate(part.labels, training.predict(model, part.images))
    return tested | {"last_loss": last.loss, "last_accuracy": last.accuracy}


def repeat(id: str, seed: str) -> str:
    """Train one run again; returns lines that compare it with its record and with the experiment's other runs."""
    # Imported here, since it imports SciPy, which a study with nothing to do need not wait for.
    from labhelpers.study.comparison import among_runs

    repeated = experiment(id)
    check_choice("SEED", seed, [str(number) for number in repeated.all_seeds])
    record = records.read(repeated, int(seed))
    if record is None:
        raise LabError(f"there is no record of {id} with seed {seed} yet: run lab study --experiments {id}")
    checkpoint = records.checkpoint_of(repeated, record.seed)
    checkpoint.unlink(missing_ok=True)  # of a run that was cut off: this one must begin anew
    again = run_one(repeated, record.seed, _cifar10(), record.threads, record.precision)
    checkpoint.unlink(missing_ok=True)
    # Early records lack some fields.
    lacking: dict[str, Any] = {name: None for name, value in vars(record).items() if value is None}
    recorded, trained = records.to_json(record), records.to_json(replace(again, **lacking))
    same = "the same record, but for seconds and date"
    if differing := [key for key in recorded if key not in ("seconds", "ended") and recorded[key] != trained[key]]:
        same = f"differs from the record in: {', '.join(differing)}"
    accuracies = f"test accuracy {again.accuracy:.4f}; recorded {record.accuracy:.4f}"
    return "\n".join([same, accuracies, among_runs(records.table([id])["accuracy"], again.accuracy)])


def keep_weights(id: str, seed: str) -> str:
    """Train one run and keep its weights, and what its record lacks; returns where the weights are.

    Raises:
        LabError: the run gives other predictions than its record, as it may on another processor, or float16 can't hold
            its weights.
    """
    kept = experiment(id)
    check_choice("SEED", seed, [str(number) for number in kept.all_seeds])
    record, path = records.read(kept, int(seed)), weights.path_of(id, int(seed))
    threads, precision = (record.threads, record.precision) if record else (1, None)
    with atomic_write(path, FREE_SPACE) as temporary:
        again = run_one(kept, int(seed), _cifar10(), threads, precision, temporary)
        records.checkpoint_of(kept, int(seed)).unlink(missing_ok=True)
        if record and not np.array_equal(record.predictions, again.predictions):
            raise LabError(
                f"this run differs from its record (test accuracy {again.accuracy:.4f}, recorded {record.accuracy:.4f}), so "
                f"its weights would not belong to it; to replace both, delete {records.path_of(kept, int(seed))} first"
            )
        if record:  # early ones lack some fields; what they have stays, also the seconds
            again = replace(again, **{name: value for name, value in vars(record).items() if value is not None})
        records.write(again)
    return f"the weights are in {path}, test accuracy {again.accuracy:.4f}"


def _cifar10() -> str:
    source = data.find()
    if source.is_standin:
        raise LabError("the study needs CIFAR-10, not stand-in images: unset LAB_DATA or name CIFAR-10")
    return str(Path(source.source).absolute())


def _run_all(wanted, source, scheduler, workers):
    """Train in other processes; yields experiment, seed, and the record or why there is none, in any order."""
    import joblib

    os.environ["LAB_THREADS"] = "1"  # for the processes that are started from here
    # When workers are interrupted, loky's resource tracker cleans up after them and warns about it on stderr. It is a
    # process of its own, which only this variable reaches.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    # Loky replaces a worker whose memory has grown, and warns about it; no run is lost.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    with _dask(scheduler) if scheduler else joblib.parallel_config("loky", n_jobs=workers):
        # Each run is a task of its own, so that its record is written as soon as it has ended. All are submitted at
        # once, since joblib doesn't know how many workers a cluster has.
        run = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")
        yield from run(joblib.delayed(_run)(*one, source, os.getpid()) for one in wanted)


@contextlib.contextmanager
def _dask(scheduler):
    """Let joblib send its work to a Dask cluster; if a worker dies, Dask gives its runs to another."""
    import joblib

    try:
        from distributed import Client

        client = Client(scheduler, timeout=5)
    except ImportError:
        raise LabError("--scheduler needs Dask: pip install -e '.[cluster]'") from None
    except (OSError, ValueError) as error:
        raise LabError(f"there is no Dask scheduler at {scheduler}: start one with dask scheduler") from error
    with client, joblib.parallel_config("dask"):
        yield


def _run(tested, seed, source, parent):
    if os.getppid() == parent:  # else it is on a cluster, or the parent itself, which works alone
        _end_with(parent)
    try:
        return tested, seed, run_one(tested, seed, source)
    except TrainingDiverged as error:  # in its first epoch; the other runs go on
        return tested, seed, str(error)


@cache  # one watching thread for each process, however many runs it gets
def _end_with(parent):
    """End this process soon after its parent: joblib's workers outlive one that was killed, and go on training."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

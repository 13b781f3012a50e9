"""The study makes what is missing, once, whatever happens to it; a record says what its run gave.

The commands run in a project whose training takes a moment and gives made-up numbers.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from test_faults import changed, full_disk, half, needs_mount, needs_posix, running, succeeds, wait_for

from labhelpers import standin
from labhelpers.study import experiments, records, runner

# Real runs


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The records of two short runs on stand-in images, one of them with a recipe, made twice in other processes."""
    code = """
import json, os, sys
from functools import partial
from pathlib import Path
os.environ["LAB_THREADS"] = "1"
import numpy as np
from labhelpers import models, quality, standin, training, weights
from labhelpers.airbench import Recipe
from labhelpers.study import experiments, records, runner
from labhelpers.study.experiments import Experiment

records.runs_dir = lambda: Path(sys.argv[1])
x, y, *tests = standin.draw(1_000, 1_000)
standin.draw = lambda: (np.tile(x, (50, 1, 1, 1)), np.tile(y, 50), *tests)
models.NETWORKS["three_blocks"] = partial(models.three_blocks, widths=(4,))
options = {"batch_size": 64, "initial_weights": "pytorch", "sampled": True, "quality": "16 pixels"}
short = Experiment("tiny", "tiny", "main", "deeper", 300, 2, 1, **options)
options = {"batch_size": 100, "learning_rate": 0.1, "initial_weights": "whitened", "recipe": Recipe()}
fast = Experiment("tiny-fast", "tiny", "improvements", "three_blocks", 300, 2, 1, **options)
experiments.EXPERIMENTS = (short, fast)
weights.TRAINED = {one.id: (one.id, 0) for one in (short, fast)}
weights.path_of = lambda id, seed: Path(sys.argv[1]) / f"{id}-seed{seed}.npz"

def run(one):
    record = runner.run_one(one, 0, "standin", precision="float32", save_as=weights.path_of(one.id, 0))
    seen = quality.lower(tests[0], one.quality) if one.quality else tests[0]
    kept = training.predict(models.load_trained(one.id), seen).argmax(axis=1)
    return records.to_json(record) | {"as with kept weights": (kept == record.predictions).mean()}

print(json.dumps([run(one) for one in (short, fast)]))
"""
    commands = [[sys.executable, "-c", code, tmp_path_factory.mktemp("runs")] for _ in range(2)]
    runs = [subprocess.run(command, capture_output=True, text=True) for command in commands]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    return [json.loads(run.stdout) for run in runs]


def test_run_again_gives_the_same_record_but_for_the_time(contents):
    for first, second in zip(*contents, strict=True):
        assert {name for name in first if first[name] != second[name]} <= {"seconds", "ended"}


def test_record_fits_together(contents):
    labels = standin.draw(0, 1_000)[3]
    plain, fast = map(records.from_json, contents[0])
    for record in (plain, fast):
        matrix = np.histogram2d(labels, record.predictions, bins=(range(11), range(11)))[0]
        assert (record.confusion_matrix == matrix).all()
        assert record.accuracy == (record.predictions == labels).mean()
        right = record.predictions == labels
        assert np.exp(-record.losses[right].astype(float)) == pytest.approx(record.confidences[right], abs=2e-3)
        assert (record.confidences > 0.099).all() and (record.confidences <= 1).all()
        assert record.loss == pytest.approx(record.losses.astype(float).mean(), rel=1e-3)
        assert [len(record.history[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")] == [2] * 4
        assert record.image_shape == [32, 32, 3] and sum(record.train_images_per_class) == 50_000
        assert record.threads == 1 and record.versions["tensorflow"] and record.processor
    assert (plain.parameters, plain.multiplications) == (44_672, 1_838_720)
    assert (fast.accuracy, fast.loss) == (fast.last_accuracy, fast.last_loss)
    assert fast.tta_accuracy == (fast.tta_predictions == labels).mean()
    assert (fast.tta_predictions != fast.predictions).any()
    assert fast.experiment.recipe.label_smoothing == 0.2
    assert fast.precision == "float32" and fast.best_epoch == 2
    assert len(fast.held_out_predictions) == 5_000 and plain.held_out_predictions is None


def test_kept_weights_are_those_that_the_run_was_tested_with(contents):
    assert all(content["as with kept weights"] > 0.99 for content in contents[0])


def test_most_wanted_come_first_and_the_experiments_of_a_group_side_by_side(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "runs_dir", lambda: tmp_path)
    wanted = runner.missing()
    assert len(wanted) == sum(len(one.all_seeds) for one in experiments.EXPERIMENTS)
    assert {one.group for one, _ in wanted[:30]} == {experiments.MAIN}
    assert [(one.id, seed) for one, seed in wanted[2:4]] == [("deeper-40000", 0), ("baseline-20000", 1)]


# The command, in a project in which training is quick

EXPERIMENTS = """
EXPERIMENTS = (
    Experiment("one", "one", MAIN, "baseline", 100, 1, 4),
    Experiment("two", "two", CHANGE, "deeper", 200, 1, 4),
)
"""
RUN_ONE = '''

def run_one(experiment, seed, source, threads=1, precision=None, save_as=None):
    """Leave a note of having begun, take a moment, give made-up numbers.

    An experiment that the file `HELD` names takes until that file is gone.
    """
    began = Path(os.environ["NOTES"]) / f"{experiment.id}-{seed}-{os.getpid()}-{time.time_ns()}"
    began.touch()
    if began.name.startswith(os.environ.get("DIVERGES", "none")):
        raise TrainingDiverged("the training loss is no longer finite")
    held = Path(os.environ.get("HELD", "nowhere"))
    while held.exists() and experiment.id in held.read_text():
        time.sleep(0.05)
    time.sleep(float(os.environ.get("MOMENT", "0.1")))
    began.rename(f"{began}-done")
    if save_as:
        save_as.write_text(f"weights of seed {seed}")
    return Record(
        experiment, seed, accuracy=0.5 + seed / 100, loss=1.0, last_accuracy=0.5, last_loss=1.0,
        confusion_matrix=np.eye(1), predictions=np.full(2, int(os.environ.get("PREDICTS", 0))),
        losses=np.zeros(2), parameters=1, multiplications=1,
        history={"val_loss": np.ones(1)}, dataset="CIFAR-10", digest=cifar10.digest(), image_shape=[1],
        train_images_per_class=[1], test_images_per_class=[1], threads=1, versions={}, processor="", ended="now",
        seconds=[time.time()], confidences=np.ones(2),
    )
'''
NOWHERE = "tcp://127.0.0.1:1"
ALL = {f"{id}-seed{seed}.json" for id in ("one", "two") for seed in range(4)}


@pytest.fixture
def quick(project, tmp_path):
    for name, more in (("experiments.py", EXPERIMENTS), ("runner.py", RUN_ONE)):
        with (project.root / "labhelpers" / "study" / name).open("a", encoding="utf-8") as file:
            file.write(more)
    notes = tmp_path / "notes"
    notes.mkdir()
    project.variables["NOTES"] = str(notes)
    with project.at_end:
        yield project


@pytest.fixture
def held(quick, tmp_path):
    """Where the ids of experiments hold up their runs, for as long as it is there."""
    quick.variables["HELD"] = str(tmp_path / "held")
    return tmp_path / "held"


def made(project):
    return {path.name for path in (project.seen / "data" / "runs").glob("*.json")}


def notes(project):
    return [path.name.split("-") for path in Path(project.variables["NOTES"]).iterdir()]


def finished_runs(project):
    return Counter((note[0], note[1]) for note in notes(project) if note[-1] == "done")


def test_study_makes_what_is_missing_or_damaged_and_then_starts_nothing_slow(quick):
    succeeds(quick, "lab study --experiments two --seeds 2 --workers 1")
    assert made(quick) == {"two-seed0.json", "two-seed1.json"}
    assert "made 6 records" in succeeds(quick, "lab study --workers 2")
    assert made(quick) == ALL and set(finished_runs(quick).values()) == {1}
    with changed("data/runs/one-seed1.json", half)(quick):
        done = quick.lab("lab study --workers 2")
        line = "WARNING: data/runs/one-seed1.json is damaged: restore it with git, or let lab study make it anew"
        assert done.returncode == 0 and line in done.stderr.splitlines() and "made 1 records" in done.stdout
        before, quick.variables["PYTHONPROFILEIMPORTTIME"] = quick.state(), "1"
        done = quick.lab("lab study")
        imported = set(re.findall(r"\| +(\w+)$", done.stderr, re.M))
        assert "nothing to do" in done.stdout and quick.state() == before
        assert "pandas" in imported and not {"tensorflow", "keras", "joblib", "scipy"} & imported


@needs_mount
def test_full_disk_loses_nothing(quick):
    succeeds(quick, "lab study --experiments one --workers 2")
    with full_disk("data", 0)(quick):
        before = quick.state()
        done = quick.lab("lab study --workers 1")
        reason = r"lab: can't write .*: No space left on device; free some space there .* run again\n"
        assert done.returncode == 2 and re.fullmatch(reason, done.stderr)
        changed_files = dict(before.items() ^ quick.state().items())
        assert all("filler" in name for name in changed_files)
    succeeds(quick, "lab study --workers 2")
    assert made(quick) == ALL


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_study_that_was_cut_off_carries_on(number, quick, held):
    held.write_text("two")
    process = quick.start("lab study --workers 2", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(made(quick)) == 4 and sum(note[0] == "two" for note in notes(quick)) == 2)
    os.kill(process.pid, number) if number == signal.SIGKILL else os.killpg(process.pid, number)
    _, err = process.communicate(timeout=120)
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert err == "lab: interrupted; what was finished is kept, run again to carry on\n"
    wait_for(lambda: not running(quick))
    held.unlink()
    kept = {name: sha for name, sha in quick.state().items() if name.startswith("data/runs/")}
    assert len(kept) == 4 and all(name.endswith(".json") for name in kept)
    succeeds(quick, "lab study --workers 2")
    assert made(quick) == ALL and kept.items() <= quick.state().items()


def test_a_run_that_diverges_keeps_no_other_from_being_made(quick):
    quick.variables["DIVERGES"] = "one-2-"
    done = quick.lab("lab study --workers 2")
    line = "lab: 1 of 8 runs gave no record: one, seed 2: the training loss is no longer finite\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert made(quick) == ALL - {"one-seed2.json"}


@needs_posix
def test_two_studies_at_once(quick, held):
    held.write_text("one two")
    first = quick.start("lab study --workers 2", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: notes(quick))
    second = quick.lab("lab study --workers 2")
    held.unlink()
    assert second.returncode == 2
    assert re.fullmatch(r"lab: another lab study is at work in .*: wait for it, .*\n", second.stderr)
    assert first.communicate(timeout=120)[1] == "" and first.returncode == 0
    assert made(quick) == ALL and set(finished_runs(quick).values()) == {1}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("--workers 0", "workers is 0: choose a whole number of at least 1"),
        ("--seeds 0", "seeds is 0: choose a whole number of at least 1"),
        ("--experiments three", "experiment is 'three': choose from 'one', 'two'"),
        ("--repeat one 0", "there is no record of one with seed 0 yet: run lab study --experiments one"),
        ("--repeat one 9", "SEED is '9': choose from '0', '1', '2', '3'"),
        ("--keep-weights one 9", "SEED is '9': choose from '0', '1', '2', '3'"),
        (f"--scheduler {NOWHERE}", f"there is no Dask scheduler at {NOWHERE}: start one with dask scheduler"),
    ],
)
def test_what_was_typed_is_checked(options, line, quick):
    done = quick.lab(f"lab study {options}")
    assert (done.returncode, done.stderr) == (2, f"lab: {line}\n")


def change(path, by):
    """Change a record, and its digest."""
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["sha256"]
    by(content)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content | {"sha256": digest}), encoding="utf-8")


def test_repeat_compares_the_run_with_its_record_and_its_experiment(quick):
    succeeds(quick, "lab study --experiments one --workers 2")
    path = quick.seen / "data/runs/one-seed2.json"
    change(path, lambda content: (content["arm"].pop("recipe"), content["test"].pop("confidences")))  # as early records
    out = succeeds(quick, "lab study --repeat one 2").splitlines()
    assert out[0] == "the same record, but for seconds and date"
    assert out[1] == "test accuracy 0.5200; recorded 0.5200"
    assert out[2].startswith("The 4 recorded runs range from 50.0\u00a0% to 53.0\u00a0%")
    assert out[2].endswith("; today's 52.0\u00a0% is inside.")


def test_a_network_is_kept_with_the_record_that_it_belongs_to(quick):
    weights, record = quick.seen / "data/networks/one-seed2.npz", quick.seen / "data/runs/one-seed2.json"
    for made_before in (False, True):
        assert record.exists() == made_before
        out = succeeds(quick, "lab study --keep-weights one 2")
        assert out.endswith("one-seed2.npz, test accuracy 0.5200\n")
        assert weights.read_text() == "weights of seed 2" and made(quick) == {record.name}
        # Early records lack it; the second time, it must have been added.
        change(record, lambda content: content["test"].pop("confidences"))
    quick.variables["PREDICTS"], before = "1", quick.state()
    done = quick.lab("lab study --keep-weights one 2")
    line = r"lab: this run differs from its record \(test accuracy 0.5200, .*delete .*one-seed2.json first\n"
    assert done.returncode == 2 and re.fullmatch(line, done.stderr) and quick.state() == before


def test_the_hours_are_announced_from_recorded_times(quick):
    out = succeeds(quick, "lab study --seeds 1 --workers 1")
    assert out.startswith("runs to make: 2\n")
    for path in (quick.seen / "data" / "runs").glob("*.json"):
        change(path, lambda content: content.update(seconds=[3600.0, 1800.0]))
    out = succeeds(quick, "lab study --workers 2")
    assert out.startswith("runs to make: 6, about 4.5 hours with 2 workers, going by recorded runs\n")


@needs_posix
def test_cluster_of_which_a_worker_is_killed_makes_every_record_once(quick, tmp_path):
    pytest.importorskip("distributed")
    quick.variables |= {"MOMENT": "1"}
    environment = os.environ | quick.variables

    def start(*words):
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:], "--no-dashboard"]
        log = (tmp_path / "dask.log").open("a")
        process = subprocess.Popen(command, env=environment, cwd=quick.root, stdout=log, stderr=log)
        quick.at_end.callback(process.kill)
        return process

    address_file = tmp_path / "scheduler.json"
    start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(address_file))
    wait_for(lambda: address_file.exists() and address_file.read_text().rstrip().endswith("}"))
    address = json.loads(address_file.read_text())["address"]
    workers = [start("dask_worker", address, "--nthreads", "1", "--no-nanny") for _ in range(2)]
    study = quick.start(f"lab study --scheduler {address}", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(made(quick)) >= 2)
    workers[0].kill()
    out, err = study.communicate(timeout=120)
    assert study.returncode == 0, err
    assert made(quick) == ALL and "made 8 records" in out
    lines = re.findall(r"^\d of 8: (\w+, seed \d)$", out, re.M)
    assert len(lines) == len(set(lines)) == 8, "each was handed in once"

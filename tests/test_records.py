"""Records keep their meaning whatever is renamed or added; a file that is damaged or of another run is refused."""

import base64
import hashlib
import json
import zlib
from collections import defaultdict
from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from made_up import record, runs, runs_dir, write  # noqa: F401

from labhelpers import usage
from labhelpers.errors import LabError
from labhelpers.study import records
from labhelpers.study.claims import BASE, DEEPER
from labhelpers.study.experiments import experiment

FAST, ALL_IMAGES = "ladder-averaging", "ladder-all-images"  # with a recipe


def has_all(new, old):
    """Whether every key and value of `old` is in `new`; a packed array may be compressed in another way."""
    if isinstance(old, dict):
        return all(key in new and has_all(new[key], value) for key, value in old.items())
    return new == old or zlib.decompress(base64.b64decode(new)) == zlib.decompress(base64.b64decode(old))


def save(content, id):
    """Write what `to_json` gives, changed or not, as the first record of an experiment; returns its path."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path = records.path_of(experiment(id), 0)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | {"sha256": digest}), encoding="utf-8")
    return path


def test_every_committed_record_is_valid_and_written_as_it_was_read():
    held, faults = records.read_study()
    paths = sorted(records.runs_dir().glob("*.json"))
    assert not faults and len(paths) >= 172, "no record may be lost"
    assert paths == sorted(records.path_of(it.experiment, it.seed) for of in held.values() for it in of)
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        del content["sha256"]
        assert has_all(records.to_json(records.from_json(content)), content)


@pytest.mark.parametrize("id", [BASE, FAST])
def test_a_record_is_read_as_it_was_written(id, runs_dir):  # noqa: F811
    tta = {"tta_accuracy": 0.7, "tta_loss": 0.9, "tta_predictions": np.ones(10_000, np.uint8)}
    written = record(id, 3, precision="mixed_bfloat16", **(tta if id == FAST else {}))
    records.write(written)
    read = records.read(experiment(id), 3)
    assert read.experiment.settings() == experiment(id).settings()
    for name in (one.name for one in fields(records.Record) if one.name != "experiment"):
        np.testing.assert_equal(getattr(read, name), getattr(written, name))
    assert read.predictions.dtype == np.uint8 and read.losses.dtype == np.float16
    assert [path.name for path in runs_dir.iterdir()] == [f"{id}-seed3.json"]
    assert records.checkpoint_of(experiment(id), 3) == runs_dir / f".{id}-seed3.checkpoint.npz"


def test_the_best_epoch_has_the_smallest_validation_loss_but_is_the_last_with_a_recipe():
    slow, fast = record(BASE, best_epoch=4, val_loss=0.8), record(FAST)
    rising = replace(fast, history={"val_loss": np.arange(1.0, 11.0)})
    without = replace(fast, history={"val_loss": np.empty(0)})
    assert [(run.best_epoch, run.val_loss) for run in (slow, rising)] == [(4, 0.8), (10, 10)]
    assert without.best_epoch == 10 and np.isnan(without.val_loss)


# What is renamed or added


def test_a_renamed_setting_keeps_its_key_in_the_file(monkeypatch):
    for name in ("learning_rate", "averaging"):  # of an experiment, of a recipe
        monkeypatch.setitem(records.SETTING_KEYS, name, f"old {name}")
    content = records.to_json(record(FAST))
    assert content["arm"]["old learning_rate"] == 0.73 and content["arm"]["recipe"]["old averaging"] is True
    assert records.from_json(content).experiment.settings() == experiment(FAST).settings()


def test_a_field_that_an_old_file_lacks_has_its_default():
    content = records.to_json(record(DEEPER, precision="mixed_bfloat16"))
    del content["precision"], content["arm"]["recipe"], content["arm"]["reshuffled"]
    read = records.from_json(content)
    assert (read.precision, read.experiment.recipe, read.experiment.reshuffled) == ("float32", None, True)
    assert (read.tta_accuracy, read.tta_loss, read.tta_predictions) == (None, None, None)


def test_a_setting_added_since_makes_a_record_stale_unless_it_has_its_default(runs_dir):  # noqa: F811
    content, one = records.to_json(record(FAST)), experiment(FAST)
    del content["arm"]["reshuffled"], content["arm"]["recipe"]["momentum"]
    save(content, FAST)
    assert records.read(one, 0).seed == 0
    for named, value in (("reshuffled", False), ("recipe", replace(one.recipe, momentum=0.5))):
        [fault] = records.read_all(replace(one, **{named: value}), [0])[1]
        assert f"is stale (its experiment differs in {named})" in fault


# What can't be used


@pytest.mark.parametrize(
    "place, value, reason",
    [
        ("recipe", 2, "schema version 2, now 1"),
        ("arm.recipe.dropout", 0.0, "its experiment has the unknown setting dropout"),
        ("arm.epochs", 11, "its experiment differs in epochs"),
        ("arm.drawn", True, "its experiment differs in sampled"),
        ("arm.recipe.averaging", False, "its experiment differs in recipe"),
        ("arm.name", BASE, "its experiment differs in id"),
        ("seed", 1, "its experiment differs in seed"),
        ("data.digest", "0" * 64, "of other data than CIFAR-10"),
        ("test", {}, "it has no test.best.loss"),
        ("arm", {}, "'id'"),
    ],
)
def test_a_record_of_anything_else_is_stale(place, value, reason, runs_dir, tells):  # noqa: F811
    content = records.to_json(record(FAST))
    *outer, last = place.split(".")
    reduce(dict.__getitem__, outer, content)[last] = value
    path = save(content, FAST)
    with tells(records.Unusable, f"data/runs/{path.name} is stale ({reason}): lab study makes it anew"):
        records.read(experiment(FAST), 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:1_000],
        lambda text: text.replace('"accuracy": 0.6', '"accuracy": 0.9'),
        lambda text: text.replace('"sha256"', '"sha"'),
        lambda text: "[]",
    ],
)
def test_a_damaged_record_is_called_that_and_the_others_are_read(damage, runs_dir, capsys):  # noqa: F811
    write(runs(BASE, [0.6, 0.61, 0.62]))
    path = records.path_of(experiment(BASE), 10)
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    line = f"data/runs/{path.name} is damaged: restore it with git, or let lab study make it anew"
    held, faults = records.read_all(experiment(BASE))
    assert [it.seed for it in held] == [11, 12] and faults == records.read_study()[1] == [line]
    assert records.table([BASE])["accuracy"].tolist() == [0.61, 0.62]
    assert capsys.readouterr().err == f"WARNING: {line}\n"


def test_a_record_that_is_missing_or_may_not_be_read_is_not_damaged(runs_dir, monkeypatch, tells):  # noqa: F811
    monkeypatch.setattr(usage, "used", defaultdict(set))
    assert records.read(experiment(BASE), 0) is None and records.read_all(experiment(BASE)) == ([], [])
    assert usage.used == {"records": {BASE}}, "results depend also on a record that is not there yet"
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=PermissionError))
    with tells(records.Unusable, f"data/runs/{BASE}-seed0.json may not be read: make it readable"):
        records.read(experiment(BASE), 0)


def test_a_record_that_cannot_be_written_says_how_to_make_room(runs_dir, tells):  # noqa: F811
    runs_dir.write_text("a file where the folder should be")
    with tells(LabError, "can't write", records.FREE_SPACE):
        records.write(record(BASE))


# Tables


def test_a_table_has_a_row_for_each_record(runs_dir):  # noqa: F811
    write(runs(BASE, [0.6, 0.61], best_epoch=[3, 4]), runs(FAST, [0.9], loss=0.4, val_loss=0.3))
    table = records.table([FAST, BASE], record(BASE).digest)
    settings = (20_000, 10, 32, "adam", 0.001, "")
    assert list(table.itertuples(index=False, name=None)) == [
        (FAST, 10, 40_000, 10, 500, "nesterov", 0.73, "", 0.9, 0.4, 0.3, 10),
        (BASE, 10, *settings, 0.6, 1.2, 1.1, 3),
        (BASE, 11, *settings, 0.61, 1.2, 1.1, 4),
    ]
    other = records.table([BASE], "of other data")
    settings = ["n_train", "epochs", "batch_size", "optimizer", "learning_rate", "quality"]
    columns = ["experiment", "seed", *settings, "accuracy", "loss", "val_loss", "best_epoch"]
    assert other.empty and list(other) == list(table) == columns


def test_histories_have_a_row_for_each_epoch(runs_dir):  # noqa: F811
    empty = {name: np.full(10, 0.4) for name in ("loss", "accuracy")} | {"val_loss": np.empty(0)}
    write(runs(BASE, [0.6, 0.61]), runs(ALL_IMAGES, [0.9], history=empty))
    table = records.histories([BASE, ALL_IMAGES])
    assert table["experiment"].tolist() == [BASE] * 20 + [ALL_IMAGES] * 10
    assert table["seed"].tolist() == [10] * 10 + [11] * 10 + [0] * 10
    assert table["learning_rate"].tolist() == [0.001] * 20 + [0.73] * 10
    assert table["epoch"].tolist() == [*range(1, 11)] * 3
    val_losses = [*record(BASE).history["val_loss"]] * 2 + [np.nan] * 10
    assert table["val_loss"].tolist() == pytest.approx(val_losses, nan_ok=True)
    assert table["accuracy"].tolist() == [0.5] * 20 + [0.4] * 10
    assert list(records.histories([DEEPER])) == list(records.histories([ALL_IMAGES])) == list(table)

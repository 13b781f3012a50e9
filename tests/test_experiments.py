"""An experiment has the settings that its committed records were made with, and knows which runs belong to it."""

from dataclasses import replace

import pytest

from labhelpers.errors import LabError
from labhelpers.study import records
from labhelpers.study.experiments import BASE, DEEPER, EXPERIMENTS, experiment


def test_every_experiment_has_all_its_records():
    for one in EXPERIMENTS:
        assert [record.seed for record in records.read_all(one)[0]] == list(range(one.seeds))
        assert not records.path_of(one, one.seeds).exists()


def test_an_experiment_is_looked_up_by_its_id(tells):
    assert experiment("deeper-40000") is DEEPER
    with tells(LabError, "experiment is 'deeper'", "'deeper-40000'"):
        experiment("deeper")


def test_runs_depend_on_settings_alone():
    assert replace(BASE, label="another", group="another", seeds=1).settings() == BASE.settings()
    assert all(replace(BASE, **{name: "another"}).settings() != BASE.settings() for name in BASE.settings())


def test_a_run_has_all_its_settings():
    settings = {"n_train": 20_000, "epochs": 10, "batch_size": 32}
    model = BASE.build(7)
    assert BASE.is_run(model, **settings)
    assert not any(BASE.is_run(model, **settings | {name: 11}) for name in settings)
    assert not DEEPER.is_run(model, n_train=40_000, epochs=20, batch_size=32)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"epochs": 21, "id": "another", "label": "another", "group": "another", "seeds": 1}, True),
        ({"epochs": 20}, False),
        ({"epochs": 19}, False),
        ({"epochs": 21, "batch_size": 64}, False),
    ],
)
def test_an_experiment_continues_another_only_by_more_epochs(changes, expected):
    assert replace(DEEPER, **changes).continues(DEEPER) is expected

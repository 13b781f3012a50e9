"""An experiment has the settings that its committed records were made with, and knows which runs belong to it."""

import re
from dataclasses import replace

import pytest

from labhelpers import models
from labhelpers.errors import LabError
from labhelpers.quality import LEVELS
from labhelpers.study import records
from labhelpers.study.experiments import BASE, DEEPER, EXPERIMENTS, FIRST_FRESH, by_quality, experiment


def test_every_experiment_has_its_own_id_and_label_a_network_and_all_its_records():
    for names in ([one.id for one in EXPERIMENTS], [one.label for one in EXPERIMENTS]):
        assert len(set(names)) == len(EXPERIMENTS)
    for one in EXPERIMENTS:
        assert one.network in models.NETWORKS and re.fullmatch("[a-z0-9-]+", one.id)
        recorded = [record.seed for record in records.read_all(one, one.all_seeds)[0]]
        assert recorded == one.all_seeds, f"run lab study --experiments {one.id}, and commit its records"
        assert len(list(records.runs_dir().glob(f"{one.id}-seed*.json"))) == len(recorded)


def test_fresh_runs_have_seeds_of_their_own():
    adam = experiment("deeper-40000-adam-3e-4")
    assert adam.judged_seeds == list(range(10, 30)) and adam.all_seeds == [*range(5), *range(10, 30)]
    assert experiment("deeper-20000").judged_seeds == experiment("deeper-20000").all_seeds == list(range(5))
    assert all(one.seeds <= FIRST_FRESH for one in EXPERIMENTS), "first runs have seeds below those of fresh ones"


@pytest.mark.parametrize("id", ["deeper-40000", "ladder-averaging"])
def test_two_networks_are_trained_on_images_of_each_quality(id):
    levels = by_quality(id)
    assert levels.pop("") == id and list(levels) == list(LEVELS)
    for level, lower in levels.items():
        assert experiment(lower).quality == level
        paired = set(experiment(lower).judged_seeds) <= set(experiment(id).judged_seeds)
        assert paired and len(experiment(lower).judged_seeds) == (5 if level == "16 pixels" else 3)


def test_an_experiment_is_looked_up_by_its_id_and_has_a_known_network_and_optimizer(tells):
    assert experiment("deeper-40000") is DEEPER
    with tells(LabError, "experiment is 'deeper'", "'deeper-40000'"):
        experiment("deeper")
    for setting, known in (("network", "deeper"), ("optimizer", "adam")):
        with tells(LabError, f"{setting} is 'nonsense'", f"'{known}'"):
            replace(DEEPER, **{setting: "nonsense"}).build(0)


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
        ({"epochs": 19}, False),
        ({"id": "another"}, False),
        ({"epochs": 21, "batch_size": 64}, False),
    ],
)
def test_an_experiment_continues_another_only_by_more_epochs(changes, expected):
    assert replace(DEEPER, **changes).continues(DEEPER) is expected

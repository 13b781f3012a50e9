"""Verdicts from records made up so that each rule is reached, and what is said of records that can't be used."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import scipy.stats
from labhelpers.original import RESULTS
from labhelpers.study.arms import named

from labhelpers import cli
from labhelpers.evaluation import ANIMALS, VEHICLES
from labhelpers.study import claims, ladder, records, statistics, wording
from labhelpers.study.claims import (
    BASE,
    CLAIMS,
    DEEPER,
    DIRECTION,
    LARGER,
    NOT_TESTABLE,
    RATES,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
)

SHORTER = f"{DEEPER}-10-epochs"


def around(mean, deviation, n):
    """n numbers with just this mean and sample standard deviation."""
    steps = np.linspace(-1, 1, n)
    return mean + deviation * steps / steps.std(ddof=1)


def confusion(right=0.6, cars=None, vehicles=None, within=0.7):
    """1,000 images a class: shares that are right, and share of the mistakes that name the class's own group."""
    matrix = np.zeros((10, 10), int)
    for group, others in ((VEHICLES, ANIMALS), (ANIMALS, VEHICLES)):
        for label in group:
            share = cars if label == 1 and cars else vehicles if label in VEHICLES and vehicles else right
            matrix[label, label] = round(1_000 * share)
            wrong = 1_000 - matrix[label, label]
            own = [other for other in group if other != label]
            matrix[label, own[0]] += round(wrong * within)
            matrix[label, others[0]] += wrong - round(wrong * within)
    return matrix


def content(arm, seed, accuracy=0.6, loss=1.2, last=None, best_epoch=5, val_loss=1.1, matrix=None):
    """What the file of such a run holds."""
    arm = named(arm)
    history = np.full(arm.epochs, val_loss + 0.5)
    history[(arm.epochs if arm.recipe else best_epoch) - 1] = val_loss  # those weights are tested
    deeper = arm.network == "deeper"
    return {
        "recipe": records.RECIPE,
        "arm": {name: value for name, value in asdict(arm).items() if name not in ("group", "seeds")},
        "seed": seed,
        "network": {
            "parameters": 44_672 if deeper else 296_130,
            "multiplications": 1_838_720 if deeper else 793_216,
        },
        "data": {
            "digest": cifar10.digest(),
            "image_shape": [32, 32, 3],
            "train_images_per_class": [5_000] * 10,
        },
        "history": {
            name: history.tolist() if name == "val_loss" else [0.5] * arm.epochs
            for name in ("loss", "accuracy", "val_loss", "val_accuracy")
        },
        "test": {
            "best": {"loss": loss, "accuracy": accuracy},
            "last": {"loss": loss + 0.1, "accuracy": accuracy if last is None else last},
            "confusion_matrix": (confusion() if matrix is None else matrix).tolist(),
            "predictions": records.pack(np.zeros(10_000, np.uint8)),
            "losses": records.pack(np.ones(10_000, np.float16)),
        }
        | ({"views": {"accuracy": accuracy + 0.01}} if arm.recipe else {}),
        "threads": 1,
        "seconds": [60.0] * arm.epochs,
    }


@pytest.fixture
def runs_dir(tmp_path, monkeypatch):
    """The folder of the records, of the test's own."""
    folder = tmp_path / "runs"
    monkeypatch.setattr(records, "runs_dir", lambda: folder)
    return folder


@pytest.fixture
def study(runs_dir):
    """Write an arm's records, one for each accuracy; other lists give a value a run, other values are for all."""

    def write(arm, accuracies, **options):
        for seed, accuracy in enumerate(accuracies):
            of_run = {
                name: value[seed] if isinstance(value, list | np.ndarray) and name != "matrix" else value
                for name, value in options.items()
            }
            if isinstance(of_run.get("matrix"), list):
                of_run["matrix"] = of_run["matrix"][seed]
            records.write(content(arm, seed, float(accuracy), **of_run), named(arm), seed)

    return write


def verdict(name):
    found, faults = claims.verdicts()
    assert not faults
    assert [it.claim for it in found] == list(CLAIMS)
    return next(it for it in found if it.claim.name == name)


# The table of claims


def test_claims_have_the_original_s_numbers():
    numbers = {claim.name: claim.number for claim in CLAIMS if claim.number is not None}
    assert numbers["B3 accuracy"] == RESULTS["baseline"].accuracy
    assert numbers["B3 loss"] == RESULTS["baseline"].loss
    assert numbers["L1"] == RESULTS["larger_training_set"].accuracy
    assert numbers["A2"] == RESULTS["deeper"].accuracy


def test_claims_can_be_tested_on_arms_that_exist():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        for arm in map(named, claim.arms):
            assert arm.seeds >= statistics.FEWEST


# Numbers. The prediction interval of 10 runs reaches 2.2622 * sqrt(1.1) = 2.3726 standard deviations.


@pytest.mark.parametrize(
    "mean, expected",
    [
        (0.60, REPRODUCED),
        (0.6285, REPRODUCED),  # 2.3726 points lower is 0.6048: 0.60, rounded, is just held
        (0.6290, UNDECIDED),
        (0.6385, UNDECIDED),  # 0.6048 + margin
        (0.6390, REFUTED),
        (0.5710, UNDECIDED),
        (0.5610, REFUTED),
    ],
)
def test_a_number_is_held_by_the_prediction_interval_or_missed_by_less_or_more_than_the_margin(
    study, mean, expected
):
    study(BASE, around(mean, 0.01, 10))
    it = verdict("B3 accuracy")
    assert it.verdict == expected
    assert it.estimate.value == pytest.approx(mean)
    assert it.prediction == pytest.approx((mean - 0.023726, mean + 0.023726), abs=1e-5)
    assert it.runs == {BASE: 10} and it.p is None
    assert bool(it.besides) == (expected != REPRODUCED)


@pytest.mark.parametrize("mean, expected", [(1.2, REPRODUCED), (1.14, UNDECIDED), (1.12, REFUTED)])
def test_loss_has_a_margin_of_its_own(study, mean, expected):
    study(BASE, [0.6] * 10, loss=around(mean, 0.01, 10))
    it = verdict("B3 loss")
    assert it.verdict == expected
    assert wording.ours(it).startswith(f"{mean:.3f} (")


@pytest.mark.parametrize(
    "larger, expected", [(0.65, REPRODUCED), (0.63, DIRECTION), (0.60, REFUTED), (0.57, REFUTED)]
)
def test_a_number_that_is_missed_leaves_the_direction(study, larger, expected):
    study(BASE, around(0.60, 0.004, 10))
    study(LARGER, around(larger, 0.004, 10))
    it = verdict("L1")
    assert it.verdict == expected
    assert it.difference.value == pytest.approx(larger - 0.60)
    assert wording.ours(it).startswith(f"{100 * larger:.1f} % (")


def test_no_spread_at_all_is_no_error(study):
    study(BASE, [0.6] * 10)
    study(LARGER, [0.63] * 10)
    assert verdict("B3 accuracy").verdict == REPRODUCED
    assert verdict("L1").verdict == DIRECTION


# Differences without a number


@pytest.mark.parametrize(
    "longer, shorter, expected",
    [
        (0.63, 0.61, REPRODUCED),
        (0.612, 0.61, UNDECIDED),
        (0.606, 0.61, UNDECIDED),
        (0.58, 0.61, REFUTED),
    ],
)
def test_a_difference_above_0_reproduces_and_one_below_by_the_margin_refutes(
    study, longer, shorter, expected
):
    study(DEEPER, around(longer, 0.003, 10))
    study(SHORTER, around(shorter, 0.003, 5))
    it = verdict("A1 epochs")
    assert it.verdict == expected
    assert it.estimate is it.difference


def test_a_difference_too_small_to_matter_is_called_that(study):
    study(DEEPER, around(0.61, 0.002, 10))
    study(SHORTER, around(0.61, 0.002, 10)[::-1])
    it = verdict("A1 epochs")
    assert it.verdict == UNDECIDED
    assert "holds 0, and a difference as large as the margin lies outside" in it.why


def test_runs_that_begin_alike_are_compared_seed_by_seed(study):
    longer, shorter = around(0.62, 0.004, 10), np.random.default_rng(0).normal(0.61, 0.004, 7)
    study(DEEPER, longer)
    study(SHORTER, shorter)
    it = verdict("A1 epochs")
    truth = scipy.stats.ttest_rel(longer[:7], shorter)
    assert it.difference.p == pytest.approx(
        truth.pvalue, rel=0.05
    )  # records keep accuracies of 10,000 images
    assert it.difference[1:3] == pytest.approx(truth.confidence_interval(), abs=2e-4)
    assert it.why.startswith("Seed by seed")


def test_equal_runs_are_no_evidence_of_a_difference(study):
    study(DEEPER, around(0.62, 0.004, 10))
    study(SHORTER, around(0.62, 0.004, 10))
    it = verdict("A1 epochs")
    assert it.verdict == UNDECIDED and it.difference[:3] == (0, 0, 0)


def test_a_difference_counts_only_after_holm_s_adjustment(study):
    # A gain whose p is about 0.03: enough for one claim, not for one of four.
    study(DEEPER, around(0.615, 0.003, 10))
    study(SHORTER, around(0.610, 0.003, 10)[::-1])
    alone = verdict("A1 epochs")
    assert alone.p == pytest.approx(alone.difference.p) and alone.p < 0.05
    assert alone.verdict == REPRODUCED
    study(BASE, around(0.6, 0.01, 10), matrix=confusion(0.6, within=0.55))
    among = verdict("A1 epochs")
    assert among.difference == alone.difference and among.p >= 0.05
    assert among.verdict == UNDECIDED and f"p = {among.p:.3f} after Holm" in among.why


def test_what_else_there_is_on_epochs_is_where_the_best_one_was(study):
    study(DEEPER, around(0.614, 0.003, 10), best_epoch=[5, 10, 11, 7, 20, 9, 3, 8, 6, 12])
    study(SHORTER, around(0.610, 0.003, 5))
    assert "In 7 of 10 runs" in verdict("A1 epochs").besides


# Classes


@pytest.mark.parametrize("within, expected", [(0.85, REPRODUCED), (0.56, UNDECIDED), (0.4, REFUTED)])
def test_animals_are_compared_with_chance(study, within, expected):
    study(BASE, around(0.6, 0.01, 10), matrix=confusion(within=within))
    it = verdict("B4 animals")
    assert it.verdict == expected
    assert it.estimate.value == pytest.approx(within - 5 / 9)
    # Ten runs that agree: what is left is the choice of 2,400 mistakes.
    assert it.estimate.high - it.estimate.value == pytest.approx(
        1.95996 * np.sqrt(within * (1 - within) / 2_400), rel=1e-4
    )


@pytest.mark.parametrize("vehicles, expected", [(0.7, REPRODUCED), (0.61, UNDECIDED), (0.5, REFUTED)])
def test_vehicles_are_compared_with_animals(study, vehicles, expected):
    study(BASE, around(0.6, 0.01, 10), matrix=confusion(0.6, vehicles=vehicles))
    it = verdict("B4 vehicles")
    assert it.verdict == expected
    assert it.estimate.value == pytest.approx(vehicles - 0.6)
    variance = vehicles * (1 - vehicles) / 4_000 + 0.24 / 6_000
    assert it.estimate.high - it.estimate.value == pytest.approx(1.95996 * np.sqrt(variance), rel=1e-4)


@pytest.mark.parametrize("cars, expected", [(0.8, REPRODUCED), (0.72, UNDECIDED), (0.6, REFUTED)])
def test_cars_are_compared_with_the_best_other_class(study, cars, expected):
    study(BASE, around(0.6, 0.01, 10), matrix=confusion(0.6, cars=cars, vehicles=0.7))
    it = verdict("B4 cars")
    assert it.verdict == expected
    assert it.estimate.value == pytest.approx(cars - 0.7)
    variance = cars * (1 - cars) / 1_000 + 0.21 / 1_000
    assert it.estimate.high - it.estimate.value == pytest.approx(1.95996 * np.sqrt(variance), rel=1e-4)


def test_cars_say_how_often_they_come_first(study):
    matrices = [confusion(0.6, cars=cars, vehicles=0.7) for cars in (0.8, 0.75, 0.7, 0.65, 0.72)]
    study(BASE, around(0.6, 0.01, 5), matrix=matrices)
    assert "In 3 of 5 runs cars are" in verdict("B4 cars").why


# Nothing better


def rates(study, reference, gain, best, deviation=0.003):
    """The reference's validation loss is 1.0; the best rate's differs from it, the others are worse."""
    study(DEEPER, around(0.65, deviation, 10), val_loss=reference)
    for rate in RATES:
        study(
            rate, around(0.65 + gain * (rate == RATES[1]), deviation, 5), val_loss=best + (rate != RATES[1])
        )


@pytest.mark.parametrize(
    "gain, expected", [(0.03, REFUTED), (0.01, UNDECIDED), (0.002, REPRODUCED), (-0.02, REPRODUCED)]
)
def test_another_rate_must_win_by_the_margin(study, gain, expected):
    rates(study, reference=1.0, gain=gain, best=0.9)
    it = verdict("A4")
    assert it.verdict == expected and it.best == RATES[1]
    assert it.difference.value == pytest.approx(gain)


def test_the_rate_is_chosen_on_validation_not_on_test(study):
    rates(study, reference=1.0, gain=0.05, best=1.1)
    it = verdict("A4")
    assert it.verdict == REPRODUCED and it.p is None
    assert f"{DEEPER} is itself the best" in it.why


def test_sgd_is_set_beside_adam(study):
    rates(study, reference=1.0, gain=0.03, best=0.9)
    study("deeper-40000-sgd-1e-3", [0.4, 0.41, 0.42])
    study("deeper-40000-sgd-1e-2", [0.6, 0.61, 0.62])
    besides = verdict("A4").besides
    assert "Adam from 0.0001 to 0.01: mean test accuracies of 65.0 % to 68.0 %" in besides
    assert "SGD from 0.001 to 0.01: mean test accuracies of 41.0 % to 61.0 %" in besides


BETTER = "ladder-averaging"


@pytest.mark.parametrize("gain, expected", [(0.2, REFUTED), (0.005, REPRODUCED)])
def test_a_better_network_on_the_same_images_refutes_that_there_is_none(study, gain, expected):
    study(DEEPER, around(0.65, 0.003, 10), val_loss=1.0)
    study(BETTER, around(0.65 + gain, 0.003, 5), val_loss=0.7)
    it = verdict("A3")
    assert it.verdict == expected and it.best == BETTER and it.estimate.value == pytest.approx(gain)
    assert "One person names 95.2 % of the same images" in it.besides and ladder.TOP.arm not in it.besides


def test_the_widest_network_is_told_of_beside_it(study):
    study(DEEPER, around(0.65, 0.003, 10), val_loss=1.0)
    study(BETTER, around(0.85, 0.003, 5), val_loss=0.7)
    study(ladder.TOP.arm, [0.93, 0.94])
    besides = verdict("A3").besides
    assert "names 93.5 %, and 94.5 % if it looks at each image six times (mean of 2 of 5 runs)" in besides


# Facts and descriptions


def test_facts_about_the_data_come_from_the_records(study):
    study(BASE, [0.6])
    assert (verdict("D1").verdict, wording.ours(verdict("D1"))) == (REPRODUCED, "10")
    assert (verdict("D2").verdict, wording.ours(verdict("D2"))) == (REFUTED, "32")
    assert (verdict("D3").verdict, wording.ours(verdict("D3"))) == (REPRODUCED, "50,000")
    assert "32x32" in verdict("D2").why and "5,000 of each class" in verdict("D3").why


@pytest.mark.parametrize(
    "name, key, value",
    [
        ("D1", "train_images_per_class", [5_000] * 9),
        ("D3", "train_images_per_class", [5_001, 4_999] + [5_000] * 8),
        ("D3", "train_images_per_class", [4_000] * 10),
    ],
)
def test_facts_can_fail(runs_dir, name, key, value):
    changed = content(BASE, 0)
    changed["data"][key] = value
    records.write(changed, named(BASE), 0)
    assert verdict(name).verdict == REFUTED


def test_complexity_is_a_matter_of_parameters_and_says_so(study):
    study(DEEPER, [0.65])
    study(LARGER, [0.63])
    it = verdict("A1 complexity")
    assert it.verdict == REFUTED
    assert "6.6 times fewer parameters" in it.why and "2.3 times the multiplications" in it.why


def test_descriptions_are_not_testable(runs_dir):
    assert verdict("B1").verdict == verdict("B2").verdict == NOT_TESTABLE
    assert BASE in verdict("B1").why


# Missing, damaged, stale


def test_without_records_each_claim_names_what_to_run(runs_dir):
    found, faults = claims.verdicts()
    assert not faults
    for it in found:
        if it.claim.measure == "description":
            continue
        assert it.verdict == UNDECIDED
        if it.claim.arms:
            assert f"lab study --arms {' '.join(it.claim.arms)}" in it.why
    assert wording.arms(found[0]) == f"{BASE} (0 of 10 runs)"


@pytest.mark.parametrize("n", [1, statistics.FEWEST - 1])
def test_too_few_runs_decide_nothing(study, n):
    study(BASE, [0.6] * n)
    study(LARGER, [0.65] * 10)
    it = verdict("L1")
    assert it.verdict == UNDECIDED and it.runs == {LARGER: 10, BASE: n}
    assert f"Too few runs of {BASE}: run lab study --arms {BASE}" == it.why


def _damage(path):
    path.write_text(path.read_text().replace('"accuracy": 0.6', '"accuracy": 0.9'))


def _cut(path):
    path.write_bytes(path.read_bytes()[:1_000])


def _recipe(path):
    held = json.loads(path.read_text())
    del held["sha256"]
    records.write(held | {"recipe": records.RECIPE + 1}, named(BASE), 0)


def _other_arm(path):
    held = json.loads(path.read_text())
    del held["sha256"]
    held["arm"]["epochs"] = 11
    records.write(held, named(BASE), 0)


@pytest.mark.parametrize(
    "spoil, word", [(_damage, "damaged"), (_cut, "damaged"), (_recipe, "stale"), (_other_arm, "stale")]
)
def test_a_record_that_cannot_be_used_is_told_and_left_out(study, runs_dir, capsys, spoil, word):
    study(BASE, [0.6, 0.61, 0.62, 0.63, 0.64, 0.65])
    before = (runs_dir / f"{BASE}-seed0.json").read_bytes()
    spoil(runs_dir / f"{BASE}-seed0.json")
    assert (runs_dir / f"{BASE}-seed0.json").read_bytes() != before
    assert cli.main(["verdicts"]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 2 and err.endswith(
        "lab: 1 of the records could not be used, see above: run lab study\n"
    )
    assert f"{BASE}-seed0.json" in err and word in err
    found, _ = claims.verdicts()
    it = next(it for it in found if it.claim.name == "B3 accuracy")
    assert it.runs == {BASE: 5}
    assert it.estimate.value == pytest.approx(0.63)
    assert "5 of 10" in out


# What would give a number that was not reproduced


def test_what_would_give_the_number(study):
    study(BASE, around(0.60, 0.004, 10))
    study(LARGER, around(0.63, 0.004, 10), last=around(0.61, 0.004, 10))
    study(f"{LARGER}-batch-64", around(0.64, 0.004, 5))
    study(f"{LARGER}-pytorch-weights", around(0.62, 0.002, 5))
    besides = verdict("L1").besides
    within, without, unknown, luck = besides.split(". ")  # a sentence each
    assert "batches of 64" in within and "PyTorch" not in within
    assert "PyTorch's initial weights" in without and "the last epoch" in without
    assert unknown == "Not known yet: one order of the images"
    # 0.645 rounds to 65 %: 1.5 points above 63 %, with standard deviation 0.4 sqrt(1.1): t = 3.5755, 9 degrees
    assert ": 0 of 10 runs get there" in luck and "0.3 %" in luck


def test_luck_looks_to_the_side_of_the_number(study):
    # 1.175 rounds to 1.18. Mean 1.1256, standard deviation 0.01771 sqrt(1.1): t = 2.660, 9 degrees of freedom
    study(BASE, [0.6] * 10, loss=[1.12] * 9 + [1.176])
    assert (
        ": 1 of 10 runs get there, and a further one does with probability 1.3 %"
        in verdict("B3 loss").besides
    )
    study(BASE, [0.6] * 10, loss=around(1.12, 0.005, 10))
    assert ": 0 of 10 runs get there, and a further one does with probability below 0.1 %" in (
        verdict("B3 loss").besides
    )
    study(BASE, [0.63] * 9 + [0.604])
    assert ": 1 of 10 runs get there" in verdict("B3 accuracy").besides


# The table on the terminal


def test_the_terminal_shows_every_claim_within_100_columns(study, capsys):
    study(BASE, around(0.60, 0.004, 10), loss=around(1.12, 0.004, 10))
    study(LARGER, around(0.63, 0.004, 10))
    rates(study, reference=1.0, gain=0.03, best=0.9)
    study(SHORTER, around(0.64, 0.003, 5))
    assert cli.main(["verdicts"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert max(map(len, out.splitlines())) <= wording.WIDTH < 100
    for claim in CLAIMS:
        row = next(line for line in out.splitlines() if line.startswith(f"{claim.name}  "))
        assert row.endswith((REPRODUCED, DIRECTION, REFUTED, UNDECIDED, NOT_TESTABLE))
        assert wording.original(claim) in row
    flat = " ".join(out.split())
    for claim in CLAIMS:
        for arm in claim.arms:
            assert arm in flat
    assert "nan" not in out and "inf" not in out.replace("information", "")


def test_the_terminal_is_wide_enough_without_records(runs_dir, capsys):
    assert cli.main(["verdicts"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= wording.WIDTH


def test_verdicts_start_nothing_slow():
    code = (
        "import sys; from labhelpers.cli import main; main(['verdicts']);"
        "print({'tensorflow', 'keras', 'labhelpers.backend', 'matplotlib', 'joblib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"

"""Verdicts in words: every number in them is filled in from the records."""

import textwrap
from collections import Counter

import numpy as np
import pandas as pd

from labhelpers.data import CLASS_NAMES
from labhelpers.evaluation import percent
from labhelpers.study import ladder, people, statistics
from labhelpers.study.arms import ARMS, OTHER, named

WIDTH, INDENT = 98, "    "
# What is true of a run where a difference between classes is above 0.
WITHIN = {
    "animals_within": "mistakes on animals name another animal more often than by chance",
    "vehicles_easier": "vehicles are recognised more often than animals",
    "cars_easiest": "cars are recognised more often than any other class",
}


def value(measure: str, number: float, interval=None) -> str:
    """Write a number of `accuracy`, `loss`, or a ratio of `parameters`, with its interval where it has one."""
    if measure == "accuracy":
        return percent(number, interval)
    if measure == "parameters":
        return f"{number:.2f} times"
    text = f"{number:.3f}" if measure == "loss" else f"{number:,.0f}"
    return text if interval is None else f"{text} ({interval[0]:.3f} to {interval[1]:.3f})"


def points(difference: float, interval=None) -> str:
    """Write a difference of shares in points, with its interval where it is given."""
    number, *ends = (f"{100 * share:.1f}".replace("-0.0", "0.0") for share in (difference, *(interval or ())))
    return f"{number} points ({ends[0]} to {ends[1]})" if ends else f"{number} points"


def unit(verdict) -> str:
    """Write what a claim's axis shows, with its unit."""
    if verdict.claim.number is None:
        return "difference (points)"
    return {"loss": "test loss (nats per image)", "accuracy": "test accuracy (%)"}[verdict.claim.measure]


def original(claim) -> str:
    """Write the original's number with its own digits, or nothing where it gives none."""
    if claim.number is None:
        return ""
    if claim.measure == "accuracy":
        return f"{100 * claim.number:.0f} %"
    return f"{claim.number:.2f}" if claim.measure == "loss" else f"{claim.number:,}"


def ours(verdict) -> str:
    """Write our estimate with its 95 % interval, or nothing where there is none."""
    estimate = verdict.estimate
    if estimate is None:
        return ""
    interval = None if estimate.low == estimate.high else (estimate.low, estimate.high)
    if estimate is verdict.difference:
        return points(estimate.value, interval)
    return value(verdict.claim.measure, estimate.value, interval)


def arms(verdict) -> str:
    """Write the arms of a claim, each with the number of its runs, and of how many where some are missing."""
    counts = [
        f"{name} ({n if n == named(name).seeds else f'{n} of {named(name).seeds}'} runs)"
        for name, n in verdict.runs.items()
    ]
    return ", ".join(counts)


def description(claim) -> str:
    """Say why a description of a set-up has no verdict."""
    return f"It describes a set-up, which {' and '.join(claim.arms)} follows: there is nothing to test."


def missing(short: list[str]) -> str:
    """Say which arms have too few runs."""
    return f"Too few runs of {', '.join(short)}: run lab study --arms {' '.join(short)}"


def none_better(losses: dict[str, float]) -> str:
    """Say that the first of these arms is the best on the validation images, and which comes next."""
    (first, loss), *others = losses.items()
    second, next_loss = min(others, key=lambda item: item[1])
    return f"By validation loss {first} is itself the best, with {loss:.3f}; next is {second} with {next_loss:.3f}."


def why(verdict) -> str:
    """Give the reason for a verdict that was reached from runs: where the number lies, where the difference."""
    reasons = []
    if verdict.prediction:
        reasons.append(_why_number(verdict))
    if verdict.difference:
        reasons.append(_why_difference(verdict))
    return " ".join(reasons)


def among_runs(accuracies, today: float | None = None) -> str:
    """Say where recorded runs of one arm lie, 0 to 1 each, and whether today's is one that they lead to expect."""
    if not len(accuracies):
        return "Of these images no runs are recorded."
    mean, low, high, spread = (getattr(accuracies, name)() for name in ("mean", "min", "max", "std"))
    text = (
        f"{len(accuracies)} recorded runs: on average {percent(mean)}, from {percent(low)} to {percent(high)}, with a "
        f"standard deviation of {100 * spread:.2f} points. "
    )
    if len(accuracies) < 2:
        return text
    expected = statistics.prediction_interval(accuracies)
    text += f"19 times in 20 one further run gives {percent(expected.low)} to {percent(expected.high)}"
    if today is None:
        return f"{text}."
    if expected.low <= today <= expected.high:
        return f"{text}, and today's {percent(today)} lies in that."
    return f"{text}; today's {percent(today)} lies outside: it is the twentieth run, or differs by more than its seed."


def _why_number(verdict):
    claim, (low, high) = verdict.claim, verdict.prediction
    number, one_run = original(claim), f"{value(claim.measure, low)} to {value(claim.measure, high)}"
    missed_by = statistics.distance(verdict.prediction, claim.interval)
    if low <= claim.number <= high:
        return f"One further run gives {one_run}, and {number} lies in that."
    if missed_by == 0:
        rounded = " to ".join(value(claim.measure, end) for end in claim.interval)
        return f"One further run gives {one_run}. What is rounded to {number}, {rounded}, reaches into that."
    side = "above" if claim.number > high else "below"
    size = "more" if missed_by > claim.margin else "less"
    return f"One further run gives {one_run}, and {number} lies {side} that by {size} than the margin."


def _why_difference(verdict):
    claim, difference = verdict.claim, verdict.difference
    size = points(difference.value, difference[1:3])
    limit, limit_name = (claim.margin, "the margin") if verdict.best else (0.0, "0")
    if verdict.best:
        text = f"Best of the others by validation loss is {verdict.best}, which gains {size} over {claim.arms[0]}"
    elif claim.measure in WITHIN:
        gaps = verdict.measured[claim.arms[0]]
        text = f"In {(gaps > 0).sum()} of {len(gaps)} runs {WITHIN[claim.measure]}; on average the difference is {size}"
    elif named(claim.arms[0]).continues(named(claim.arms[1])):
        text = f"Seed by seed, as both begin alike, the gain over {claim.arms[1]} is {size}"
    else:
        text = f"The gain over {claim.arms[1]} is {size}"
    if difference.low <= limit <= difference.high:
        text += f": the interval holds {limit_name}"
    else:
        text += f": the interval lies {'above' if difference.low > limit else 'below'} {limit_name}"
        if verdict.p >= statistics.LEVEL:
            text += f", but not for certain among so many claims (p = {p_value(verdict)} after Holm)"
    if not verdict.best and max(-difference.low, difference.high) < claim.margin:
        text += ", and a difference as large as the margin lies outside"
    return f"{text}."


def _margin(claim):
    if claim.measure == "loss":
        return f"{claim.margin:.2f}"
    return f"{100 * claim.margin:g} point{'s' if claim.margin != 0.01 else ''}"


def p_value(verdict) -> str:
    """Write the adjusted p, or nothing where nothing was tested."""
    if verdict.p is None:
        return ""
    return "< 0.001" if verdict.p < 0.001 else f"{verdict.p:.3f}"


def besides(verdict, found) -> str:
    """Say what else the records tell about a claim: what would give its number, or what lies behind the difference."""
    claim = verdict.claim
    if claim.number is not None:
        return _what_would(verdict, found)
    tested = [named(name) for name in claim.arms]
    if claim.measure == "animals_within":
        return _people(found[tested[0].name])
    if claim.measure == "cars_easiest":
        return _ranks(found[tested[0].name])
    if any(arm.recipe for arm in tested):
        return _ladder(found)
    if len({arm.learning_rate for arm in tested}) > 1:
        return _rates(tested, found)
    if len(tested) > 1 and tested[0].epochs > tested[1].epochs:
        within = [record.best_epoch <= tested[1].epochs for record in found[tested[0].name]]
        return (
            f"In {sum(within)} of {len(within)} runs of {tested[0].name} the best epoch is one of the first "
            f"{tested[1].epochs}: there the further epochs changed nothing."
        )
    return ""


def _what_would(verdict, found):
    claim = verdict.claim
    arm = named(claim.arms[0])
    tried = {"the last epoch": [getattr(record, f"last_{claim.measure}") for record in found[arm.name]]}
    for other in ARMS:
        alike = (other.network, other.n_train, other.epochs) == (arm.network, arm.n_train, arm.epochs)
        if other.group == OTHER and alike:
            tried[_peculiarity(other)] = [getattr(record, claim.measure) for record in found[other.name]]
    would, would_not, unknown = [], [], []
    for name, values in tried.items():
        if len(values) < statistics.FEWEST:
            unknown.append(name)
            continue
        one_run = statistics.prediction_interval(values)
        text = f"{name} ({value(claim.measure, one_run.low)} to {value(claim.measure, one_run.high)})"
        (would_not if statistics.distance(one_run, claim.interval) else would).append(text)
    values = verdict.measured[arm.name]
    # The end of the interval that is nearer to our runs: what just rounds to the original's number.
    low, high = claim.interval
    high_side = claim.number > verdict.estimate.value
    reached = (values >= low if high_side else values <= high).sum()
    chance = statistics.chance_of_reaching(values, low if high_side else high)
    sentences = [f"{original(claim)} is in reach of one run with: {', '.join(would) or 'nothing tried'}"]
    if would_not:
        sentences.append(f"Not with: {', '.join(would_not)}")
    if unknown:
        sentences.append(f"Not known yet: {', '.join(unknown)}")
    luck = f"{reached} of {len(values)} runs get there, and a further one does with probability {_chance(chance)}"
    return ". ".join([*sentences, f"A lucky seed: {luck}."])


def _peculiarity(arm):
    """Say in what an arm differs from the main one of its network."""
    if arm.drawn:
        return "images drawn anew"
    if not arm.reshuffled:
        return "one order of the images"
    if arm.initial_weights == "pytorch":
        return "PyTorch's initial weights"
    return f"batches of {arm.batch_size}"


def _chance(share):
    return "below 0.1 %" if share < 0.001 else percent(share)


def _ranks(runs):
    """Say which class was the easiest, how often, and where cars stood."""
    rates = np.array(
        [record.confusion_matrix.diagonal() for record in runs]
    )  # every class has as many images
    easiest = Counter(CLASS_NAMES[label] for label in rates.argmax(axis=1))
    car = rates[:, [CLASS_NAMES.index("automobile")]]
    ranks = 1 + (rates > car).sum(axis=1)
    times = ", ".join(f"{name} in {n}" for name, n in easiest.most_common())
    return f"Easiest of {len(rates)} runs: {times}. Cars rank {ranks.min()} to {ranks.max()} of {rates.shape[1]}."


def _people(runs):
    compared = [people.agreement(record.confusion_matrix) for record in runs]
    correlations, shared = [one.correlation for one in compared], [one.shared for one in compared]
    return (
        f"People on the same images (CIFAR-10H): over all {compared[0].pairs} pairs of classes, Spearman's correlation of "
        f"their confusions with a run's is {min(correlations):.2f} to {max(correlations):.2f}; of a run's "
        f"{compared[0].top} most confused pairs, {np.mean(shared):.1f} are on average among people's {compared[0].top}."
    )


def _ladder(found):
    """Say how far the same images allow to come, and people."""
    runs = found[ladder.TOP.arm]
    sentences = [
        f"One person names {percent(people.ONE_PERSON)} of the same images, most of fifty people together "
        f"{percent(people.MAJORITY)} (CIFAR-10H)"
    ]
    if runs:
        plain, seen = (
            np.mean([getattr(run, name) for run in runs]) for name in ("accuracy", "views_accuracy")
        )
        sentences.insert(
            0,
            f"The top of the ladder, {ladder.TOP.arm}, names {percent(plain)}, and {percent(seen)} if it looks at each "
            f"image six times (mean of {len(runs)} of {named(ladder.TOP.arm).seeds} runs)",
        )
    return f"{'. '.join(sentences)}."


def _rates(tested, found):
    """Set Adam's rates beside those of SGD, which has no scaling of its own to make up for a wrong one."""
    tried = [tested[0], *(arm for arm in ARMS if arm.group == tested[1].group)]
    spans = []
    for optimizer, name in (("adam", "Adam"), ("sgd", "SGD")):
        means = {
            arm.learning_rate: np.mean([record.accuracy for record in found[arm.name]])
            for arm in tried
            if arm.optimizer == optimizer and found[arm.name]
        }
        if means:
            low, high = min(means.values()), max(means.values())
            rates = f"{name} from {min(means):g} to {max(means):g}"
            spans.append(f"{rates}: mean test accuracies of {percent(low)} to {percent(high)}")
    return f"{'; '.join(spans)}."


def table(verdicts) -> pd.DataFrame:
    """Return the verdicts as text, a row a claim: what was said, what we found, and why that is the verdict."""
    return pd.DataFrame(
        {
            "claim": it.claim.name,
            "statement": it.claim.statement,
            "original": original(it.claim),
            "ours (95 % interval)": ours(it),
            "runs": ", ".join(map(str, it.runs.values())),
            "arms": arms(it),
            "margin": _margin(it.claim) if it.claim.margin else "",
            "p (Holm)": p_value(it),
            "verdict": it.verdict,
            "why": it.why,
            "besides": it.besides,
        }
        for it in verdicts
    )


def as_markdown(verdicts) -> str:
    """Return the verdicts as a table in Markdown, without the reasons."""
    columns = ["claim", "verdict", "statement", "original", "ours (95 % interval)", "runs", "p (Holm)"]
    rows = table(verdicts)[columns].rename(columns={"statement": "the original says"})
    rows["verdict"] = "**" + rows["verdict"] + "**"
    lines = [rows.columns, ["---"] * len(columns), *rows.itertuples(index=False)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_text(verdicts) -> str:
    """Lay the verdicts out for a terminal, at most `WIDTH` columns wide."""
    rows = table(verdicts)
    columns = ["claim", "original", "ours (95 % interval)", "p (Holm)", "verdict"]
    widths = [max(len(name), rows[name].str.len().max()) for name in columns]

    def line(cells):
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    lines = [line(columns), line("-" * width for width in widths)]
    for _, row in rows.iterrows():
        margin = f", margin {row['margin']}" if row["margin"] else ""
        lines.append(line(row[columns]))
        for text in (f"“{row['statement']}”: {row['arms']}{margin}", row["why"], row["besides"]):
            wrapped = textwrap.wrap(text, WIDTH - len(INDENT), break_on_hyphens=False)
            lines += [INDENT + part for part in wrapped]
        lines.append("")
    return "\n".join(lines[:-1])

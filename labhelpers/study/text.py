"""Sentences about verdicts and improvements: every number in them comes from the records."""

from collections import Counter
from math import floor, log10

from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.evaluation import percent
from labhelpers.study import human_labels, measures, remarks, statistics
from labhelpers.study.experiments import experiment
from labhelpers.study.verdicts import OUTCOMES

# The parts of a verdict


def statement(claim) -> str:
    """Write what the original says."""
    return claim.statement.format(number=original(claim))


def original(claim) -> str:
    """Write the original's number with its own digits, or nothing where it gives none."""
    if claim.number is None:
        return ""
    last_digit = 2 * claim.rounding * claim.measure.scale
    return claim.measure.write(claim.number, digits=max(0, -floor(log10(last_digit))) if last_digit else 0)


def ours(verdict) -> str:
    """Write our estimate with its 95 % interval, or nothing where there is none."""
    estimate, shown = verdict.evidence.estimate, verdict.evidence.shown
    if estimate is None:
        return ""
    interval = None if estimate.low == estimate.high else (estimate.low, estimate.high)
    return shown.write(estimate.value, interval)


def experiments(verdict) -> str:
    """Write the experiments of a claim, each with its number of runs, and of how many where some are missing."""
    counts = []
    for id, n in verdict.evidence.runs.items():
        planned = experiment(id).seeds
        counts.append(f"{experiment(id).label} ({n if n == planned else f'{n} of {planned}'} runs)")
    return "; ".join(counts)


def margin(claim) -> str:
    """Write the smallest difference that would matter, or nothing where there is none."""
    if not claim.margin:
        return ""
    difference = claim.measure.difference
    size = difference.scale * claim.margin
    if difference.bare or not difference.unit:
        return f"{size:g}"
    return f"{size:g} {difference.unit.removesuffix('s') if size == 1 else difference.unit}"


def compared_with(verdict) -> str:
    """Write what our estimate is compared with: the original's number, or 0 or the margin."""
    claim = verdict.claim
    if claim.number is not None:
        return f"the original's {original(claim)}"
    return margin(claim) if verdict.evidence.best else claim.measure.difference.write(0, digits=0)


def p_value(verdict) -> str:
    """Write the adjusted p, or nothing where nothing was tested."""
    if verdict.p is None:
        return ""
    return "< 0.001" if verdict.p < 0.001 else f"{verdict.p:.3f}"


# The reason for a verdict


def why(verdict) -> str:
    """Give the reason for a verdict: a sentence on the number, one on the difference."""
    claim, it = verdict.claim, verdict.evidence
    if claim.measure is None:
        followed = " and ".join(experiment(id).label for id in claim.experiments)
        return f"It describes a set-up, which “{followed}” follows: there is nothing to test."
    if it.missing:
        labels = ", ".join(experiment(id).label for id in it.missing)
        return f"Too few runs of {labels}: run lab study --experiments {' '.join(it.missing)}"
    if claim.measure.exact:
        return _why_fact(verdict)
    if it.best == claim.experiments[0]:
        return _why_none_better(it)
    reasons = [_why_number(verdict)] if it.prediction else []
    return " ".join(reasons + ([_why_difference(verdict)] if it.difference else []))


def _why_fact(verdict):
    it, measure = verdict.evidence, verdict.claim.measure
    if len(verdict.claim.experiments) == 1:
        if it.details:
            return measure.words.format(**it.details)
        return f"It has {measure.write(it.estimate.value)} {measure.name}."
    return f"It has {_times(it.estimate.value, measure.name)}{', ' if measure.words else ''}{measure.words}."


def _times(ratio, what):
    return f"{ratio:.1f} times the {what}" if ratio > 1 else f"{1 / ratio:.1f} times fewer {what}"


def _why_none_better(it):
    (first, loss), *others = it.val_losses.items()
    second, next_loss = min(others, key=lambda item: item[1])
    return (
        f"By validation loss {experiment(first).label} is itself the best, with {loss:.3f}; next is "
        f"{experiment(second).label} with {next_loss:.3f}."
    )


def _why_number(verdict):
    claim, (low, high), missed_by = verdict.claim, verdict.evidence.prediction, verdict.evidence.missed_by
    write, number = claim.measure.write, original(claim)
    one_run = f"One further run gives {write(low)} to {write(high)}"
    if low <= claim.number <= high:
        return f"{one_run}, and {number} lies in that."
    if missed_by == 0:
        rounded = " to ".join(write(end) for end in claim.interval)
        return f"{one_run}. What is rounded to {number}, {rounded}, reaches into that."
    side = "above" if claim.number > high else "below"
    size = "more" if missed_by > claim.margin else "less"
    return f"{one_run}, and {number} lies {side} that by {size} than the margin."


def _why_difference(verdict):
    claim, it = verdict.claim, verdict.evidence
    difference = it.difference
    size = claim.measure.difference.write(difference.value, difference[1:3])
    limit, limit_name = (claim.margin, "the margin") if it.best else (0.0, "0")
    if it.best:
        text = (
            f"Best of the others by validation loss is “{experiment(it.best).label}”, which gains {size} over "
            f"“{experiment(claim.experiments[0]).label}”"
        )
    elif len(claim.experiments) == 1:
        gaps = it.measured[claim.experiments[0]]
        above = f"In {(gaps > 0).sum()} of {len(gaps)} runs {claim.measure.words or 'it is above 0'}"
        text = f"{above}; on average the difference is {size}"
    else:
        how = "Seed by seed, as both begin alike, the" if it.paired else "The"
        text = f"{how} gain over “{experiment(claim.experiments[1]).label}” is {size}"
    if difference.low <= limit <= difference.high:
        text += f": the interval includes {limit_name}"
    else:
        text += f": the interval lies {'above' if difference.low > limit else 'below'} {limit_name}"
        if verdict.p >= statistics.LEVEL:
            text += f", but not for certain among so many claims (p = {p_value(verdict)} after Holm)"
    if not it.best and max(-difference.low, difference.high) < claim.margin:
        text += ", and a difference as large as the margin lies outside"
    return f"{text}."


# Remarks


def remark(verdict) -> str:
    """Say what else the records tell about a claim, or nothing."""
    if verdict.remark is None:
        return ""
    if verdict.claim.remark:
        return REMARKS[verdict.claim.remark](verdict.remark)
    return _explanations(verdict.claim, **verdict.remark)


def _explanations(claim, variants, reached, runs, chance):
    write, would, would_not, unknown = claim.measure.write, [], [], []
    for label, one_run in variants.items():
        if one_run is None:
            unknown.append(label)
        else:
            low, high, reaches = one_run
            (would if reaches else would_not).append(f"{label} ({write(low)} to {write(high)})")
    sentences = [f"{original(claim)} is within reach of one run with: {', '.join(would) or 'nothing tried'}"]
    sentences += [f"Not with: {', '.join(would_not)}"] * bool(would_not)
    sentences += [f"Not known yet: {', '.join(unknown)}"] * bool(unknown)
    probability = "below 0.1 %" if chance < 0.001 else percent(chance)
    luck = f"{reached} of {runs} runs get there, and a further one does with probability {probability}"
    return ". ".join([*sentences, f"A lucky seed: {luck}."])


def _class_ranks(found):
    easiest = ", ".join(f"{name} in {n}" for name, n in found["easiest"].items())
    return (
        f"Easiest of {found['runs']} runs: {easiest}. Cars rank {found['best']} to {found['worst']} of "
        f"{len(CLASS_NAMES)}."
    )


def _best_network(found):
    humans = (
        f"One human annotator classifies {percent(found['one_human'])} of the same images correctly, the majority of "
        f"about fifty {percent(found['majority'])} (CIFAR-10H)."
    )
    if not found["runs"]:
        return humans
    return (
        f"The best network, “{found['label']}”, reaches {percent(found['accuracy'])}, and "
        f"{percent(found['tta_accuracy'])} with test-time augmentation (mean of {found['runs']} of {found['planned']} "
        f"runs). {humans}"
    )


def _learning_rates(found):
    spans = [
        f"{ {'adam': 'Adam', 'sgd': 'SGD'}[optimizer] } from {min(means):g} to {max(means):g}: mean test accuracies of "
        f"{percent(min(means.values()))} to {percent(max(means.values()))}"
        for optimizer, means in found.items()
    ]
    return f"{'; '.join(spans)}."


# How a remark is worded, by the function that gives its numbers.
REMARKS = {
    remarks.human_confusions: (
        "Human annotators of the same images (CIFAR-10H): over all {pairs} pairs of classes, Spearman's correlation of "
        "their confusions with a run's is {low:.2f} to {high:.2f}; of a run's {top} most confused pairs, {shared:.1f} are "
        "on average among the humans' {top}."
    ).format_map,
    remarks.class_ranks: _class_ranks,
    remarks.multiplications: lambda found: f"It takes {_times(found['ratio'], 'multiplications')}.",
    remarks.early_best_epochs: (
        "In {early} of {runs} runs of “{label}” the best epoch is one of the first {epochs}: there the further epochs "
        "changed nothing."
    ).format_map,
    remarks.best_network: _best_network,
    remarks.learning_rates: _learning_rates,
}


# The abstract


def abstract(verdicts, steps) -> list[str]:
    """Return the abstract of the report, a text for each paragraph; `steps` as `improvements.summary` gives them."""
    runs = {id: n for it in verdicts for id, n in it.evidence.runs.items()}
    counts = Counter(it.outcome for it in verdicts)
    outcomes = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]]
    numbers = [it for it in verdicts if it.claim.measure is measures.ACCURACY and it.claim.number]
    return [
        "A student's lab report on classifying the images of CIFAR-10 is reproduced, step by step, and each of its "
        "claims is tested on several runs of the same training, with different seeds.",
        f"On the test images, {'; '.join(map(_result, numbers))}.",
        f"Of the {len(verdicts)} claims that the original makes, the verdicts are: {listed(outcomes)}.",
        *_how_far(steps),
        f"The claims are tested on {sum(runs.values())} recorded runs on CIFAR-10. “Reproduced” means that the "
        "original's number, as rounded, lies where one further run of ours would fall in 95 % of cases, which is a wider "
        "interval than that of our mean. The sections below also train networks of their own, one run each.",
    ]


def _how_far(steps):
    """Say how far improved networks get on the same images; nothing where no improvement has runs."""
    if len(steps) < 2:
        return []
    last = steps.iloc[-1]
    runs = "one run" if last["runs"] == 1 else f"{last['runs']} runs"
    return [
        "The original concludes that its images allow little more. A network that is improved step by step, with "
        f"test-time augmentation at the end, reaches {percent(last['accuracy'])} on the same test images ({runs}), one "
        f"human annotator {percent(human_labels.ONE_HUMAN)}."
    ]


def _result(verdict):
    tested = experiment(verdict.claim.experiments[0])
    setting = (
        f"the {tested.network} network, trained on {tested.n_train:,} images for {tested.epochs} epochs,"
    )
    number, n = original(verdict.claim), verdict.evidence.runs[tested.id]
    if verdict.evidence.estimate is None:
        return f"{setting} has too few recorded runs to be compared with the original's {number}"
    value, _, ends = ours(verdict).rstrip(")").partition(" (")
    interval = f"95 % interval {ends}; " if ends else ""  # runs that all agree have none
    return f"{setting} reaches {value} ({interval}{n} runs), where the original has {number}"


def listed(parts: list[str]) -> str:
    """Join words as in a sentence: "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

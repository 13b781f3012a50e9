"""Sentences about verdicts and improvements: every number in them comes from the records."""

from collections import Counter

from labhelpers.evaluation import percent, typeset
from labhelpers.study import human_labels, measures, remarks, statistics
from labhelpers.study.experiments import experiment
from labhelpers.study.verdicts import OUTCOMES, REPRODUCED

# The parts of a verdict


def statement(claim) -> str:
    """Write what the original says."""
    return claim.statement.format(number=claim.number_text)


def ours(verdict) -> str:
    """Write our estimate with its 95 % interval, or nothing where there is none."""
    estimate, shown = verdict.evidence.estimate, verdict.evidence.shown
    if estimate is None:
        return ""
    interval = None if estimate.low == estimate.high else (estimate.low, estimate.high)
    return shown.write(estimate.value, interval)


def experiments(verdict) -> str:
    """Write the experiments of a claim, each with its number of runs, and of how many where some are missing."""
    counted = ((experiment(id), n) for id, n in verdict.evidence.runs.items())
    return "; ".join(f"{one.label} ({n if n == one.seeds else f'{n} of {one.seeds}'} runs)" for one, n in counted)


def margin(claim) -> str:
    """Write the smallest difference that would matter, or nothing where there is none."""
    if not claim.margin:
        return ""
    difference = claim.measure.difference
    size, unit = f"{difference.scale * claim.margin:g}", "" if difference.bare else difference.unit
    return f"{size} {unit.removesuffix('s') if size == '1' else unit}".strip()


def compared_with(verdict) -> str:
    """Write what our estimate is compared with: the original's number, or 0 or the margin."""
    claim = verdict.claim
    if claim.number is not None:
        return f"the original's {claim.number_text}"
    return margin(claim) if verdict.evidence.best else claim.measure.difference.write(0, digits=0)


def p_value(verdict) -> str:
    """Write the adjusted p, or nothing where nothing was tested."""
    if verdict.p is None:
        return ""
    return "< 0.001" if verdict.p < 0.001 else f"{verdict.p:.3f}"


def remark(verdict) -> str:
    """Say what else the records show about a claim, or nothing."""
    claim, evidence = verdict.claim, verdict.evidence
    if claim.measure is None or evidence.missing:
        return ""
    if claim.id in remarks.BY_CLAIM:
        return typeset(remarks.BY_CLAIM[claim.id](claim, verdict.records))
    if evidence.prediction and verdict.outcome != REPRODUCED:
        return typeset(remarks.explanations(claim, verdict.records))
    return ""


# The reason for a verdict


def why(verdict) -> str:
    """Give the reason for a verdict: a sentence on the number, one on the difference."""
    claim, evidence = verdict.claim, verdict.evidence
    if claim.measure is None:
        return "It describes a set-up, which our experiment follows: there is nothing to test."
    if evidence.missing:
        labels = ", ".join(experiment(id).label for id in evidence.missing)
        return f"Too few runs of {labels}: run lab study --experiments {' '.join(evidence.missing)}"
    if evidence.fact:
        if len(claim.experiments) == 1:
            return claim.measure.words.format(**evidence.fact.details)
        return f"It has {remarks.times(evidence.estimate.value, claim.measure.name)}, {claim.measure.words}."
    if evidence.best == claim.experiments[0]:
        (first, loss), *others = evidence.val_losses.items()
        second, next_loss = min(others, key=lambda item: item[1])
        return (
            f"No other experiment has a smaller validation loss than {experiment(first).label} ({loss:.3f}); the next "
            f"smallest is that of {experiment(second).label} ({next_loss:.3f})."
        )
    reasons = {_why_number: evidence.prediction, _why_difference: evidence.difference}
    return typeset(" ".join(write(verdict) for write, numbers in reasons.items() if numbers))


def _why_number(verdict):
    claim, (low, high), missed_by = verdict.claim, verdict.evidence.prediction, verdict.evidence.missed_by
    write, number = claim.measure.write, claim.number_text
    one_run = f"The 95 % prediction interval for one more run is {write(low)} to {write(high)}"
    if low <= claim.number <= high:
        return f"{one_run}: it includes {number}."
    if missed_by == 0:
        rounded = " to ".join(write(end) for end in claim.interval)
        return f"{one_run}: it includes numbers that round to {number} ({rounded})."
    side = "above" if claim.number > high else "below"
    size = "more" if missed_by > claim.margin else "less"
    return f"{one_run}: {number} is {side} it, by {size} than the margin."


def _why_difference(verdict):
    claim, evidence, difference = verdict.claim, verdict.evidence, verdict.evidence.difference
    size = claim.measure.difference.write(difference.value, difference[1:3])
    limit, limit_name = (claim.margin, "the margin") if evidence.best else (0.0, "0")
    first, *others = claim.experiments
    if evidence.best:
        text = (
            f"The best of the others by validation loss ({experiment(evidence.best).label}) gains {size} over the first "
            f"experiment ({experiment(first).label})"
        )
    elif others:
        how = "Compared seed by seed, because both start alike, the" if evidence.paired else "The"
        text = f"{how} gain over the second experiment ({experiment(others[0]).label}) is {size}"
    else:
        gaps = evidence.measured[first]
        text = f"In {(gaps > 0).sum()} of {len(gaps)} runs {claim.measure.words}; the mean difference is {size}"
    if difference.low <= limit <= difference.high:
        text += f": the interval includes {limit_name}"
    else:
        text += f": the interval is {'above' if difference.low > limit else 'below'} {limit_name}"
        if verdict.p >= statistics.LEVEL:
            text += f", but not for certain among so many claims (p = {p_value(verdict)} after Holm)"
    if not evidence.best and max(-difference.low, difference.high) < claim.margin:
        text += ", and excludes a difference as large as the margin"
    return f"{text}."


# The abstract


def abstract(verdicts, steps) -> list[str]:
    """Return the abstract of the report, a text for each paragraph; `steps` as `improvements.summary` gives them."""
    runs = {id: n for verdict in verdicts for id, n in verdict.evidence.runs.items()}
    counts = Counter(verdict.outcome for verdict in verdicts)
    outcomes = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]]
    accuracies = [
        _result(verdict) for verdict in verdicts if verdict.claim.measure is measures.ACCURACY and verdict.claim.number
    ]
    paragraphs = [
        "A student's lab report on classifying the images of CIFAR-10 is reproduced, step by step, and each of its "
        "claims is tested on several runs of the same training, with different seeds.",
        f"On the test images, {'; '.join(accuracies)}.",
        f"Of the {len(verdicts)} claims that the original makes, the verdicts are: {listed(outcomes)}.",
        *_how_far(steps),
        f"The claims are tested on {sum(runs.values())} recorded runs on CIFAR-10. A number is reproduced if, as "
        "rounded, it is inside our 95 % prediction interval for one more run, which is wider than the interval of our mean. "
        "The sections below also train networks of their own, one run each.",
    ]
    return [typeset(paragraph) for paragraph in paragraphs]


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
    network = f"the {tested.network} network, trained on {tested.n_train:,} images for {tested.epochs} epochs,"
    number, n = verdict.claim.number_text, verdict.evidence.runs[tested.id]
    if verdict.evidence.estimate is None:
        return f"{network} has too few recorded runs to be compared with the original's {number}"
    value, _, ends = ours(verdict).rstrip(")").partition(" (")
    interval = f"95 % interval {ends}; " if ends else ""  # runs that all agree have none
    return f"{network} reaches {value} ({interval}{n} runs), where the original has {number}"


def listed(parts: list[str]) -> str:
    """Join words as in a sentence: "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

"""Sentences about verdicts and improvements: every number in them comes from the records."""

from collections import Counter
from dataclasses import replace
from math import isinf

from labhelpers.evaluation import percent, typeset
from labhelpers.study import human_labels, improvements, measures, remarks, statistics
from labhelpers.study.experiments import experiment
from labhelpers.study.verdicts import NOT_TESTABLE, OUTCOMES, RARE, REFUTED, REPRODUCED

# The parts of a verdict


def ours(evidence) -> str:
    """Write our estimate with its 95 % interval, or nothing where there is none."""
    estimate, shown = evidence.estimate, evidence.shown
    if estimate is None:
        return ""
    interval = None if estimate.low == estimate.high else (estimate.low, estimate.high)
    return shown.write(estimate.value, interval)


def one_run(evidence) -> str:
    """Write the 95 % prediction interval of one run, or nothing where there is none."""
    if evidence.prediction is None:
        return ""
    low, high = evidence.prediction
    return f"{replace(evidence.shown, bare=True).write(low)} to {evidence.shown.write(high)}"


def number_of_runs(verdict) -> str:
    """Write the number of runs of each experiment that is compared, or nothing for facts and descriptions."""
    counted = verdict.evidence.runs.items() if rests_on_runs(verdict.claim) else ()
    return ", ".join(_counted(experiment(id), n) for id, n in counted)


def rests_on_runs(claim) -> bool:
    """Return whether a claim is tested by runs that differ: facts and descriptions are not."""
    return claim.measure is not None and not claim.measure.exact


def experiments(verdict) -> str:
    """Write the experiments of a claim; if it rests on runs, with their number, and of how many where some are missing."""
    tested = [(experiment(id), n) for id, n in verdict.evidence.runs.items()]
    if not rests_on_runs(verdict.claim):
        return "; ".join(one.label for one, _ in tested)
    return "; ".join(f"{one.label} ({_counted(one, n)} runs)" for one, n in tested)


def _counted(one, n):
    """Write a number of runs, and of how many where some are still to be made."""
    wanted = len(one.judged_seeds)
    return f"{n}" if n == wanted else f"{n} of {wanted}"


def margin(claim) -> str:
    """Write the smallest difference that would matter, or nothing where there is none."""
    if not claim.margin:
        return ""
    difference = claim.measure.difference
    size, unit = f"{difference.scale * claim.margin:g}", "" if difference.bare else difference.unit
    return f"{size} {unit.removesuffix('s') if size == '1' else unit}".strip()


def compared_with(verdict) -> str:
    """Write what our estimate is compared with: the original's number, or 0, the margin, or minus the margin."""
    claim = verdict.claim
    if claim.number is not None:
        return f"the original's {claim.number_text}"
    null = verdict.evidence.null
    if null == 0:
        return claim.measure.difference.write(null, digits=0)
    return typeset(f"{'-' if null < 0 else ''}{margin(claim)}")


def decided_by(verdict) -> str:
    """Write the probability that decides: q of a number, else the adjusted p of a difference; nothing without runs."""
    q, p, pairs = verdict.evidence.q, verdict.p, verdict.evidence.pairs
    if pairs is not None and pairs.std() == 0:
        return f"{len(pairs)} equal pairs"
    if q is not None and (p is None or q >= RARE):
        return f"q {probability(q)}"
    return "" if p is None else f"p {probability(p)}"


def probability(p) -> str:
    """Write a probability after its sign: "= 0.041" or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def remark(verdict) -> str:
    """Say what else the records show about a claim, or nothing."""
    claim, evidence, said = verdict.claim, verdict.evidence, []
    if claim.measure is None or evidence.missing:
        return ""
    if claim.id in remarks.BY_CLAIM:
        said.append(remarks.BY_CLAIM[claim.id](claim, verdict.records))
    elif evidence.prediction and verdict.outcome != REPRODUCED:
        said.append(remarks.explanations(claim, verdict.records))
    processors = {record.processor for id in evidence.runs for record in verdict.records[id]}
    if rests_on_runs(claim) and len(processors) > 1:
        said.append("These runs come from several kinds of processor, which also makes a difference.")
    return typeset(" ".join(said))


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
        size, other = (
            remarks.times(evidence.estimate.value, claim.measure.name),
            experiment(claim.experiments[1]).network,
        )
        return typeset(f"It has {size} of {other}, {claim.measure.words}.")
    if evidence.best == claim.experiments[0]:
        (first, loss), *others = evidence.val_losses.items()
        second, next_loss = min(others, key=lambda item: item[1])
        return (
            f"No other experiment has a smaller validation loss than {experiment(first).label} ({loss:.3f}); the next "
            f"smallest is that of {experiment(second).label} ({next_loss:.3f})."
        )
    reasons = [_why_number(verdict)] if evidence.prediction else []
    reasons += [_why_difference(verdict)] if evidence.difference else []
    return typeset(" ".join(reasons))


def _why_number(verdict):
    claim, evidence = verdict.claim, verdict.evidence
    n = len(evidence.measured[claim.experiments[0]])
    text = (
        f"One more run rounds to {claim.number_text}, or is further from our mean on the same side, with probability q "
        f"{probability(evidence.q)}; {evidence.reached} of {n} runs are that far. The 95 % prediction interval for one run "
        f"is {one_run(evidence)}"
    )
    if evidence.missed_by:
        text += f": the number is outside, by {'more' if evidence.missed_by > claim.margin else 'less'} than the margin"
    return f"{text}."


def _why_difference(verdict):
    claim, evidence, difference = verdict.claim, verdict.evidence, verdict.evidence.difference
    interval = None if difference.error == 0 else difference[1:3]
    size, of_margin = claim.measure.difference.write(difference.value, interval), margin(claim)
    first, *others = claim.experiments
    ends: tuple[str, ...] = ()  # the experiments whose means a gain is between
    if evidence.best:
        gain, ends = f"gain over {experiment(first).label} is {size}", (first, evidence.best)
        text = f"The only alternative is {experiment(evidence.best).label}; its {gain}"
        if len(others) > 1:
            text = f"Of the alternatives, {experiment(evidence.best).label} has the smallest validation loss in the "
            text += f"first runs; its {gain}"
    elif claim.factors:
        original, better, lowered = map(experiment, claim.experiments)
        text = (
            f"Seed by seed, the gain from {original.label} to {better.label} is {size} larger than the loss from "
            f"{original.label} to the same with {lowered.quality}"
        )
    elif others:
        how = "Compared seed by seed, because the shorter run is the beginning of the longer one, the"
        text = f"{how if evidence.pairs is not None else 'The'} gain over {experiment(others[0]).label} is {size}"
        ends = (others[0], first)
    else:
        gaps = evidence.measured[first]
        text = f"In {(gaps > 0).sum()} of {len(gaps)} runs {claim.measure.words}; the mean difference is {size}"
    if evidence.pairs is not None and difference.error == 0:
        text += f" in each of {len(evidence.pairs)} pairs of runs"
    if ends:
        low, high = (claim.measure.write(evidence.measured[id].mean()) for id in ends)
        text += f", from {low} to {high}"
    limit = "0" if evidence.null == 0 else f"{'minus ' if evidence.null < 0 else ''}the margin"
    if evidence.too_small and claim.number is None:
        text += (
            f": the interval is entirely within plus or minus the margin of {of_margin}, which is too small to matter"
        )
    elif difference.low <= evidence.null <= difference.high:
        text += f": the interval includes {limit}"
    else:
        text += f": the interval is {'above' if difference.low > evidence.null else 'below'} {limit}"
    if verdict.p >= statistics.LEVEL and not evidence.needed:
        text += f", but p {probability(verdict.p)} after Holm's adjustment is too large"
    if evidence.share_better is not None and difference.error > 0:
        text += f". There is a gain in {100 * evidence.share_better:.0f} % of pairs of runs (a tie counts as half)"
    return f"{text}.{_what_would_decide(evidence)}"


def _what_would_decide(evidence):
    """Say how many runs would decide an undecided claim."""
    if not evidence.needed:
        return ""
    if not isinf(evidence.needed):
        return f" With this mean and spread, about {evidence.needed} runs of each experiment would decide it."
    if len(evidence.runs) == 1:
        return " No number of runs would decide it: the choice of the test images alone makes the interval too wide."
    return " Not even 1,000 runs of each experiment would decide it."


# The first screen of the page


def headline(verdicts, steps) -> str:
    """Return the result in a few sentences; `steps` as `improvements.summary` gives them."""
    counts, of_claim = Counter(it.outcome for it in verdicts), {it.claim.id: it for it in verdicts}
    outcomes = ", ".join(f"{counts[one]} {one}" for one in OUTCOMES if counts[one] and one != NOT_TESTABLE)
    text = (
        "Two students trained networks to recognise the images of CIFAR-10, and reached "
        f"{of_claim['A2'].claim.number_text}. We ran everything again, many times. The verdicts on the "
        f"{len(verdicts) - counts[NOT_TESTABLE]} claims that can be tested: {outcomes}."
    )
    if len(steps) > 1:
        limit = "They blamed the images; whether these are the limit is open"
        if of_claim["A3b"].outcome == REFUTED:
            limit = "They blamed the images, but the network limited them more"
        best = experiment(improvements.STEPS[-1].experiment)
        text += (
            f" {limit}: on the same test images, improved networks reach {percent(steps['accuracy'].iloc[-1])} "
            f"(trained on {best.n_train:,} images), and single humans {percent(human_labels.ONE_HUMAN)} on average."
        )
    return typeset(text)


def accuracies(verdicts) -> list[dict[str, str]]:
    """Return each accuracy that the original gives beside our mean: `network`, `original`, `ours`, `verdict`."""
    rows = []
    for verdict in verdicts:
        claim, evidence = verdict.claim, verdict.evidence
        if claim.measure is measures.ACCURACY and claim.number:
            value = ours(evidence).partition(" (")[0] or "too few runs"
            label = experiment(claim.experiments[0]).label
            row = {"network": label, "original": claim.number_text, "ours": value, "verdict": verdict.outcome}
            rows.append(row)
    return rows


def method(verdicts) -> str:
    """Return how the claims were tested, in a few sentences."""
    runs = {id: n for verdict in verdicts for id, n in verdict.evidence.runs.items()}
    return typeset(
        "The report is reproduced step by step, and each claim is tested on several runs of the same training, which "
        "differ in their seeds. The rules were revised after the first runs had been seen, so only later runs, with new "
        f"seeds, count: {sum(runs.values())} of them. A number is reproduced if one more run of ours is at least as far "
        "from our mean with a probability of at least 10 %, and at the edge with at least 2.5 %. The figure of the "
        "improvements has the first runs, and the notebooks train networks of their own, one run each; so accuracies of "
        "the same network differ a little."
    )

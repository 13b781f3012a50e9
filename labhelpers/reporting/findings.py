"""What the page says first: an abstract and the verdict on each claim, both from the committed records."""

from collections import Counter

from labhelpers.evaluation import percent
from labhelpers.study import claims, ladder, people, wording
from labhelpers.study.arms import named

# A sign beside each verdict, for who can't tell its colour.
SIGNS = {
    claims.REPRODUCED: "✓",
    claims.DIRECTION: "↗",
    claims.REFUTED: "✗",
    claims.UNDECIDED: "?",
    claims.NOT_TESTABLE: "·",
}


def abstract(verdicts) -> list[str]:
    """Return the abstract, a text a paragraph."""
    runs = {arm: n for it in verdicts for arm, n in it.runs.items()}
    counts = Counter(it.verdict for it in verdicts)
    said = [f"{counts[verdict]} {verdict}" for verdict in SIGNS if counts[verdict]]
    return [
        "A student's lab report on classifying the images of CIFAR-10 is executed again, step by step, and each of its "
        "claims is held against several runs of the same training, with different seeds.",
        "On the test images, "
        + "; ".join(_accuracy(it) for it in verdicts if it.claim.measure == "accuracy" and it.claim.number)
        + ".",
        f"Of the {len(verdicts)} claims that the original makes, the verdicts are: {listed(said)}.",
        *_ladder(),
        f"The claims are tested on {sum(runs.values())} recorded runs on CIFAR-10. "
        "“Reproduced” says that the original's number, as rounded, lies where one further run of ours would fall 19 times "
        "in 20, which is a wider interval than that of our mean. The sections below also train networks of their own, one "
        "run each.",
    ]


def _ladder():
    """Say how far the same images have been found to lead; nothing where no rung but the lowest has runs."""
    rungs = ladder.summary(ladder.runs())
    if len(rungs) < 2:
        return []
    top = rungs.iloc[-1]
    runs = "one run" if top["runs"] == 1 else f"{top['runs']} runs"
    return [
        "The original ends that its images allow of little more. A network that is improved step by step, and "
        f"looks at each of the same test images six times, is right on {percent(top['accuracy'])} ({runs}), one person "
        f"on {percent(people.ONE_PERSON)}."
    ]


def rows(verdicts) -> list[dict[str, str]]:
    """Return the verdicts as text, a dictionary a claim; `sign` and `key` tell kinds of verdict apart."""
    table = wording.table(verdicts).rename(columns={"ours (95 % interval)": "ours", "p (Holm)": "p"})
    return [
        row | {"sign": SIGNS[row["verdict"]], "key": row["verdict"].replace(" ", "-")}
        for row in table.to_dict("records")
    ]


def _accuracy(it):
    arm = named(it.claim.arms[0])
    setting = f"the {arm.network} network, trained on {arm.n_train:,} images for {arm.epochs} epochs,"
    original, n = wording.original(it.claim), it.runs[arm.name]
    if it.estimate is None:
        return f"{setting} has too few recorded runs to be set beside the original's {original}"
    value, interval = wording.ours(it).rstrip(")").split(" (")
    return f"{setting} is right on {value} (95 % interval {interval}; {n} runs), where the original has {original}"


def listed(parts):
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

"""The claims of the original report (see CITATION.cff), and what each is tested on. To add one is to add a row.

The margins were committed before the first record was made; the network of A3a, `ladder-averaging`, before any run of
it, and A3b before any run on images of lower quality.
"""

from dataclasses import dataclass
from math import floor, log10

from labhelpers.errors import check_choice
from labhelpers.study import measures
from labhelpers.study.measures import ACCURACY, BALANCE, LOSS, Measure
from labhelpers.study.statistics import Interval

POINT = 0.01  # one percentage point of accuracy


@dataclass(frozen=True)
class Claim:
    """One claim, and how it is tested."""

    id: str  # as numbered in the project's list; `remarks.BY_CLAIM` may add a remark to it
    statement: str  # what the original says: its own words in quotation marks, or ours
    measure: Measure | None  # None for a description of the set-up, which is not tested
    experiments: tuple[str, ...]  # their ids; with two, the claim is also that the first exceeds the second
    number: float | None = None  # the original's, if it gives one, in the unit of the measure
    rounding: float = 0.0  # half the last digit of `number`
    margin: float = 0.0  # the smallest difference that would matter, in the same unit
    # Whether the claim is that none of the other experiments, of which validation loss chooses the best, is better.
    nothing_better: bool = False
    # If given, the claim is that this sum is not above 0: of the experiments' numbers, each times its factor.
    factors: tuple[int, ...] = ()

    @property
    def interval(self) -> Interval:
        """The numbers that round to the original's."""
        assert self.number is not None
        return Interval(self.number - self.rounding, self.number + self.rounding)

    @property
    def number_text(self) -> str:
        """The original's number with its own digits; empty if it gives none."""
        if self.number is None or self.measure is None:
            return ""
        last_digit = 2 * self.rounding * self.measure.scale
        return self.measure.write(self.number, digits=max(0, -floor(log10(last_digit))) if last_digit else 0)


BASE, LARGER, DEEPER, IMPROVED = "baseline-20000", "baseline-40000", "deeper-40000", "ladder-averaging"
SHORTER = f"{DEEPER}-10-epochs"
RATES = tuple(f"{DEEPER}-{rate}" for rate in ("adam-1e-4", "adam-3e-4", "adam-3e-3", "adam-1e-2"))
SAME_SIZE = "“the 10 classes are well balanced, all of them contain the same amount of examples”"
MORE_EPOCHS = "“we needed to add more training epochs”"
NOT_BETTER = "no significantly better results are possible on these images"
LOW_QUALITY = "“this is probably due to the low quality of the images”"
OTHER_RATES = "“Changing the learning rate was no use since we used the Adam optimizer”"

CLAIMS = (
    Claim("D1", "there are ten classes", measures.CLASSES, (BASE,), 10),
    Claim("D2", "“the definition is 30x30 pixels”", measures.SIDE, (BASE,), 30),
    Claim("D3", SAME_SIZE, BALANCE, (BASE,), 50_000),
    Claim("B1", "one convolution, pooling, two dense layers", None, (BASE,)),
    Claim("B2", "trained on 20,000 images for 10 epochs", None, (BASE,)),
    Claim("B3 accuracy", "the baseline has “an accuracy of 60%”", ACCURACY, (BASE,), 0.60, 0.005, POINT),
    Claim("B3 loss", "the baseline has “a loss of 1.18”", LOSS, (BASE,), 1.18, 0.005, 0.03),
    Claim("B4 animals", "animals are mistaken for one another", measures.ANIMALS_WITHIN, (BASE,), margin=0.05),
    Claim("B4 vehicles", "vehicles are easier than animals", measures.VEHICLES_EASIER, (BASE,), margin=POINT),
    Claim("B4 cars", "cars are the easiest class", measures.CARS_EASIEST, (BASE,), margin=POINT),
    Claim("L1", "“It increased the accuracy to 65%”", ACCURACY, (LARGER, BASE), 0.65, 0.005, POINT),
    Claim("A1 complexity", "“the complexity of the network increased”", measures.PARAMETERS, (DEEPER, LARGER)),
    Claim("A1 epochs", MORE_EPOCHS, ACCURACY, (DEEPER, SHORTER), margin=POINT),
    Claim("A2", "“we obtained an accuracy of 67%”", ACCURACY, (DEEPER, LARGER), 0.67, 0.005, POINT),
    Claim("A3a", NOT_BETTER, ACCURACY, (DEEPER, IMPROVED), margin=POINT, nothing_better=True),
    # Refuted if a better network gains more on the images as they are than the original's loses with a quarter of the
    # pixels. That gain was known when this rule was written, the loss was not.
    Claim("A3b", LOW_QUALITY, ACCURACY, (DEEPER, IMPROVED, f"{DEEPER}-16-pixels"), factors=(-2, 1, 1)),
    Claim("A4", OTHER_RATES, ACCURACY, (DEEPER, *RATES), margin=POINT, nothing_better=True),
)


def original(id: str) -> float:
    """Return the number that the original gives for a claim, such as 0.67 for "A2"; a `LabError` if it gives none."""
    numbers = {claim.id: claim.number for claim in CLAIMS if claim.number is not None}
    check_choice("the claim", id, numbers)
    return numbers[id]

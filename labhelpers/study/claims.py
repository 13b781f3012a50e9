"""The claims of the original report: its numbers, and what each claim is tested on. To add one is to add a row.

The report: Corentin Leloup and Wafa Bouzouita, "Lab 2: Deep learning for image classification" (Master 2 AIC, Image
Mining). How large a difference must be to matter, the margin, was committed before the first record was made. That
the network of A3 is `ladder-averaging` was committed before any run of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from labhelpers.errors import check_choice
from labhelpers.study import measures, remarks
from labhelpers.study.measures import ACCURACY, LOSS, Measure
from labhelpers.study.statistics import Interval

POINT = 0.01  # one percentage point of accuracy


@dataclass(frozen=True)
class Claim:
    """One claim, and how it is tested.

    Attributes:
        id: of the claim in the project's list of them, with its part where it makes several.
        statement: what the original says; `{number}` stands for its number.
        measure: what it is tested on; None for a description of the set-up, which is not tested.
        experiments: the ids of those it is tested on. With two, the claim is also that the first exceeds the second.
        number: the original's, if it gives one, in the unit of the measure.
        rounding: half the last digit of `number`.
        margin: the smallest difference that would matter, in the same unit.
        nothing_better: whether the claim is that none of the other experiments is better than the first. The best of
            the others is chosen by validation loss.
        remark: gives further numbers to report, from the claim and the records of each experiment by id; `text.REMARKS`
            words them. Without one, a number that is not reproduced is explained (`remarks.explanations`).
    """

    id: str
    statement: str
    measure: Measure | None
    experiments: tuple[str, ...]
    number: float | None = None
    rounding: float = 0.0
    margin: float = 0.0
    nothing_better: bool = False
    remark: Callable | None = None

    @property
    def interval(self) -> Interval:
        """The numbers that round to the original's."""
        return Interval(self.number - self.rounding, self.number + self.rounding)


BASE, LARGER, DEEPER = "baseline-20000", "baseline-40000", "deeper-40000"
RATES = tuple(f"deeper-40000-{rate}" for rate in ("adam-1e-4", "adam-3e-4", "adam-3e-3", "adam-1e-2"))

CLAIMS = (
    Claim("D1", "there are ten classes", measures.CLASSES, (BASE,), 10),
    Claim("D2", "the images have {number}x{number} pixels", measures.SIDE, (BASE,), 30),
    Claim(
        "D3",
        "there are {number} training images, all classes of the same size",
        measures.BALANCE,
        (BASE,),
        50_000,
    ),
    Claim("B1", "one convolution, pooling, two dense layers", None, (BASE,)),
    Claim("B2", "trained on 20,000 images for 10 epochs", None, (BASE,)),
    Claim("B3 accuracy", "the baseline reaches {number}", ACCURACY, (BASE,), 0.60, 0.005, POINT),
    Claim("B3 loss", "the baseline's test loss is {number}", LOSS, (BASE,), 1.18, 0.005, 0.03),
    Claim(
        "B4 animals",
        "animals are mistaken for one another",
        measures.ANIMALS_WITHIN,
        (BASE,),
        margin=0.05,
        remark=remarks.human_confusions,
    ),
    Claim("B4 vehicles", "vehicles are easier than animals", measures.VEHICLES_EASIER, (BASE,), margin=POINT),
    Claim(
        "B4 cars",
        "cars are the easiest class",
        measures.CARS_EASIEST,
        (BASE,),
        margin=POINT,
        remark=remarks.class_ranks,
    ),
    Claim("L1", "40,000 images raise accuracy to {number}", ACCURACY, (LARGER, BASE), 0.65, 0.005, POINT),
    Claim(
        "A1 complexity",
        "the deeper network is more complex",
        measures.PARAMETERS,
        (DEEPER, LARGER),
        remark=remarks.multiplications,
    ),
    Claim(
        "A1 epochs",
        "so it takes more epochs",
        ACCURACY,
        (DEEPER, f"{DEEPER}-10-epochs"),
        margin=POINT,
        remark=remarks.early_best_epochs,
    ),
    Claim("A2", "the final network reaches {number}", ACCURACY, (DEEPER, LARGER), 0.67, 0.005, POINT),
    Claim(
        "A3",
        "nothing much better could be had, for the images' low quality",
        ACCURACY,
        (DEEPER, "ladder-averaging"),
        margin=POINT,
        nothing_better=True,
        remark=remarks.best_network,
    ),
    Claim(
        "A4",
        "another learning rate is no use, with Adam",
        ACCURACY,
        (DEEPER, *RATES),
        margin=POINT,
        nothing_better=True,
        remark=remarks.learning_rates,
    ),
)
BY_ID = {claim.id: claim for claim in CLAIMS}


def original(id: str) -> float:
    """Return the number that the original gives for a claim, such as 0.67 for "A2".

    Raises:
        LabError: there is no such claim, or it has no number.
    """
    check_choice("the claim", id, [claim.id for claim in CLAIMS if claim.number is not None])
    return BY_ID[id].number

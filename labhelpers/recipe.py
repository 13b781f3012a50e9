"""What a network is trained with besides epochs, batches and a learning rate: the ladder's steps, as data."""

from dataclasses import dataclass

# airbench94's rate, 11.5 to 1,024 images and divided by 1 + 1 / (1 - momentum), for batches of 500 and their mean loss.
BATCH_SIZE = 500
LEARNING_RATE = 0.73
# It rises to its peak over the first quarter, then falls, all in straight lines.
START, PEAK_AT, END = 0.2, 0.23, 0.07
AVERAGED_EVERY = 5  # steps


@dataclass(frozen=True)
class Recipe:
    """How `fast.train` trains; every value is that of airbench94.

    After Page 2018 (cifar10-fast, "How to train your ResNet") and Jordan 2024 (airbench94, arXiv 2404.00498).

    Attributes:
        flips_and_shifts: show each image mirrored every other epoch and moved by up to two pixels.
        label_smoothing: share of the truth that is given to all ten classes alike, 0 to below 1.
        averaging: follow a running average of the weights, and keep that.
        whitening_epochs: how long the bias of a fixed first layer is trained; its kernel never is.
        momentum: of Nesterov's method, 0 to below 1.
        weight_decay: pull towards 0, added to the gradient of the mean loss, and so scaled by the learning rate.
        bias_factor: how many times the learning rate the biases of batch normalisation have; their decay is
            the less.
    """

    flips_and_shifts: bool = True
    label_smoothing: float = 0.2
    averaging: bool = True
    whitening_epochs: int = 3
    momentum: float = 0.85
    weight_decay: float = 0.0153 / 11.5
    bias_factor: float = 64.0


def relative_rate(done: float) -> float:
    """Return the learning rate as a share of its peak when a share `done` of all steps is made, 0 to 1."""
    if done < PEAK_AT:
        return START + (1 - START) * done / PEAK_AT
    return 1 + (END - 1) * (done - PEAK_AT) / (1 - PEAK_AT)


def averaging_decay(done: float) -> float:
    """Return how much of the running average stays when weights join it; it forgets less and less as training ends."""
    return 0.95**AVERAGED_EVERY * done**3

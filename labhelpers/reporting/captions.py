"""Every figure in words: its caption, and the text that stands for it where it can't be seen.

What there is to be seen in a figure is read from its CSV, so that no number is typed here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from labhelpers.evaluation import percent


@dataclass(frozen=True)
class Caption:
    """A figure in words.

    Attributes:
        text: what it shows, as its caption says.
        drawn: how it is drawn, for who doesn't see it.
        seen: what is to be seen in it, from a table of its numbers.
    """

    text: str
    drawn: str
    seen: Callable[[pd.DataFrame], str] = lambda _: ""

    def alt(self, numbers: pd.DataFrame) -> str:
        """Return the text that stands for the figure, with what its numbers say, if they are those it is made for."""
        try:
            return f"{self.drawn} {'' if numbers.empty else self.seen(numbers)}".strip()
        except (KeyError, ValueError, TypeError):  # of a notebook that someone changed
            return self.drawn


def of(name: str) -> Caption:
    """Return a figure's caption; one that has none yet is called by its name."""
    words = name.replace("_", " ").capitalize()
    return CAPTIONS.get(name) or Caption(f"{words}.", f"A figure: {words}.")


def _losses(rows):
    first, last, best = rows.iloc[0], rows.iloc[-1], rows.loc[rows["val_loss"].idxmin()]
    return (
        f"From the first epoch to epoch {last['epoch']:.0f} the training loss goes from {first['loss']:.2f} to "
        f"{last['loss']:.2f}, the validation loss from {first['val_loss']:.2f} to {last['val_loss']:.2f}; it is "
        f"smallest, {best['val_loss']:.2f}, after epoch {best['epoch']:.0f}."
    )


def _losses_of_each(rows):
    return " ".join(f"{name}: {_losses(run)}" for name, run in rows.groupby("run", sort=False))


def _matrix(rows):
    shares = rows.assign(share=rows["images"] / rows.groupby("true")["images"].transform("sum").clip(lower=1))
    right = shares.query("true == predicted").sort_values("share")
    low, high = right.iloc[0], right.iloc[-1]
    worst = shares.query("true != predicted").sort_values("share").iloc[-1]
    return (
        f"The diagonal, the right answers, goes from {percent(low['share'])} ({low['true']}) to "
        f"{percent(high['share'])} ({high['true']}). The most frequent mistake is to take {worst['true']} for "
        f"{worst['predicted']}: {percent(worst['share'])}."
    )


def _accuracy_of_classes(rows):
    ordered = rows.sort_values("accuracy", ascending=False)
    listed = ", ".join(f"{row['class']} {percent(row['accuracy'])}" for _, row in ordered.iterrows())
    return f"From best to worst: {listed}."


def _gain_of_classes(rows):
    ordered = rows[rows["class"] != "all"].sort_values("gain", ascending=False)
    listed = ", ".join(f"{row['class']} {100 * row['gain']:+.1f}" for _, row in ordered.iterrows())
    return f"From most to least: {listed}."


def _confusions(rows):
    listed = (
        f"{row['true']} taken for {row['predicted']}, {row['probability']:.0%} sure"
        for _, row in rows.iterrows()
    )
    return f"{'; '.join(listed)}."


def _runs(rows):
    accuracy = rows["accuracy"]
    span = f"between {percent(accuracy.min())} and {percent(accuracy.max())}"
    return f"{len(rows)} recorded runs lie {span}, on average at {percent(accuracy.mean())}."


def _means(column, said):
    """Return a function that lists the mean accuracy for each value of a column."""

    def seen(rows):
        means = rows.groupby(column, sort=False)["accuracy"].mean()
        return f"On average {', '.join(f'{percent(mean)} {said.format(value)}' for value, mean in means.items())}."

    return seen


def _rates(rows):
    means = rows.groupby(["optimizer", "learning_rate"], sort=False)["accuracy"].mean()
    listed = ", ".join(
        f"{percent(mean)} with {optimizer} and {rate:g}" for (optimizer, rate), mean in means.items()
    )
    return f"On average {listed}."


def _losses_of_rates(rows):
    least = rows.groupby("learning_rate")["val_loss"].min()
    return f"The smallest loss of each: {', '.join(f'{loss:.2f} with {rate:g}' for rate, loss in least.items())}."


def _verdicts(rows):
    counts = rows["verdict"].value_counts()
    return f"Of all claims, {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}."


def _mistakes(rows):
    worst = rows.loc[rows.groupby("who", sort=False)["share"].idxmax()]
    listed = ", ".join(
        f"for {row['who']} {row['true']} taken for {row['answer']} ({percent(row['share'])} of the mistakes)"
        for _, row in worst.iterrows()
    )
    return f"Most frequent: {listed}."


def _ladder(rows):
    listed = ", ".join(f"{row['change']} {percent(row['accuracy'])}" for _, row in rows.iterrows())
    return f"From the lowest rung: {listed}."


def _captions(rows):
    return "; ".join(caption.replace("\n", ", ") for caption in rows["caption"]) + "."


AMONG = (
    "A strip chart of test accuracy: a dot for each recorded run, their mean with its interval above, the original's "
    "number a dashed line."
)
BY_CLASS = "A dot with its interval for each class, vehicles and animals in different colours and shapes."

CAPTIONS = {
    "figure1_classes": Caption(
        "The original's Figure 1: the first training images of each class, in the order of the file.",
        "A grid of small colour photographs, a row for each of the ten classes from airplane to truck: single objects, "
        "mostly large and in the middle, before grounds of many kinds.",
    ),
    "data_channel_values": Caption(
        "How often each pixel value occurs in the training images, channel by channel.",
        "Three overlapping curves, red, green and blue, over pixel values from 0 to 255: broad humps in the middle, and "
        "a sharp rise at the right end, which is white.",
    ),
    "data_resolution": Caption(
        "The same test images as they are, and averaged over larger and larger blocks of pixels.",
        "A table of photographs, a column an image and a row a resolution: sharp enough to name in the first row, "
        "coarse in the second, mere patches of colour in the last.",
    ),
    "figure2_baseline_losses": Caption(
        "The original's Figure 2: the baseline's loss per epoch, on training and validation images. The weights of the "
        "marked epoch are kept.",
        "A line chart of cross-entropy loss per epoch: training loss and validation loss.",
        _losses,
    ),
    "figure3_confusion_matrix": Caption(
        "The original's Figure 3: how the baseline answers on the test images, in per cent of each true class; lines "
        "set vehicles and animals apart.",
        "A confusion matrix, ten true classes down and ten predicted ones across, darker for more.",
        _matrix,
    ),
    "baseline_class_accuracy": Caption(
        "The baseline's test accuracy on each class, with 95 % intervals.", BY_CLASS, _accuracy_of_classes
    ),
    "baseline_confusions": Caption(
        "The baseline's most frequent mistakes, each by the image on which it was most sure of its wrong answer.",
        "A row of test images with their true class, the answer, and its probability.",
        _confusions,
    ),
    "baseline_among_runs": Caption(
        "Test accuracies of the recorded runs of the baseline, today's run, and the original's number.",
        AMONG,
        _runs,
    ),
    "larger_losses": Caption(
        "Loss per epoch with the smaller and the larger training set: dashed on training, solid on validation images.",
        "A line chart of cross-entropy loss per epoch, two lines for each of two training sets.",
        _losses_of_each,
    ),
    "larger_class_gain": Caption(
        "What the larger training set adds to the accuracy on each class, in points, with 95 % intervals.",
        BY_CLASS,
        _gain_of_classes,
    ),
    "larger_among_runs": Caption(
        "Test accuracies of the recorded runs with the larger training set, today's run, and the original's number.",
        AMONG,
        _runs,
    ),
    "learning_curve": Caption(
        "Test accuracy of the baseline against the number of training images: runs, their means, and the original's "
        "numbers.",
        "A chart of accuracy that rises with the number of training images: a dot a run, a line through the means, a "
        "cross for each number of the original.",
        _means("n_train", "with {:,} images"),
    ),
    "figure4_deeper_losses": Caption(
        "The original's Figure 4: the deeper network's loss per epoch, on training and validation images. The weights "
        "of the marked epoch are kept.",
        "A line chart of cross-entropy loss per epoch: training loss and validation loss.",
        _losses,
    ),
    "deeper_class_accuracy": Caption(
        "The deeper network's test accuracy on each class, with 95 % intervals.",
        BY_CLASS,
        _accuracy_of_classes,
    ),
    "deeper_among_runs": Caption(
        "Test accuracies of the recorded runs of the deeper network, today's run, and the original's number.",
        AMONG,
        _runs,
    ),
    "deeper_changes": Caption(
        "What each change to the network brings: test accuracies of the recorded runs, and their means with 95 % "
        "intervals.",
        "A strip chart with a row for each network: a dot a run, and the mean with its interval above.",
        _means("arm", "for “{}”"),
    ),
    "learning_rates": Caption(
        "Test accuracy against the learning rate: runs with Adam and with SGD, and their means.",
        "A chart of accuracy against learning rate on a logarithmic axis, a line for each optimizer.",
        _rates,
    ),
    "learning_rate_losses": Caption(
        "Mean validation loss per epoch for each of Adam's learning rates.",
        "A line chart of validation loss per epoch, a line for each learning rate.",
        _losses_of_rates,
    ),
    "mistakes": Caption(
        "Where the mistakes of people, of the original's network and of the best one lie, in per cent of all mistakes of "
        "each.",
        "Three confusion matrices side by side, true classes down and answers across, darker for more.",
        _mistakes,
    ),
    "ladder": Caption(
        "From the original's network upward, one change at a time: test accuracy, with its 95 % interval over the runs, "
        "against training time; people and the original's number as lines.",
        "A chart of accuracy against minutes of training on a logarithmic axis, a numbered and named point for each "
        "change.",
        _ladder,
    ),
    "disputed_images": Caption(
        "The test images that people disagree on most: label, people's two most frequent answers, the best network's. "
        "Where people's answers are not at hand, they are the first of the test images.",
        "Small photographs in rows of three, with their label and the answers below.",
        _captions,
    ),
    "still_wrong": Caption(
        "Test images that every recorded run of the best network gets wrong: those of the largest loss. Of stand-in "
        "images, of which there are no runs, they are the first.",
        "Small photographs in rows of three, with their label and the answers below.",
        _captions,
    ),
    "own_image": Caption(
        "A picture as the networks see it, and what those trained just now say of it, if any were.",
        "A picture of 32x32 pixels.",
    ),
    "verdicts": Caption(
        "What the verdicts rest on. A dot is a run; the bar is our estimate with its 95 % interval; the dashed line is "
        "the original's number, with what rounds to it in its colour and a grey band where one further run would fall, or "
        "what a difference is held against.",
        "A strip chart for each claim that rests on runs.",
        _verdicts,
    ),
}

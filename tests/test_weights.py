"""Networks kept in the repository have the accuracy of their records, and `lab predict` says what they see."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from labhelpers import cli, models, training, weights
from labhelpers.backend import keras
from labhelpers.cifar10 import CLASS_NAMES
from labhelpers.errors import LabError
from labhelpers.evaluation import evaluate, percent
from labhelpers.study import records
from labhelpers.study.experiments import experiment
from labhelpers.weights import TRAINED


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A folder that takes the place of data/networks; it holds the deeper network, whose file it returns."""
    original, file = weights.path_of(*TRAINED["deeper"]), tmp_path / "deeper-40000-seed10.npz"
    shutil.copy(original, file)
    monkeypatch.setattr(weights, "path_of", lambda id, seed: tmp_path / f"{id}-seed{seed}.npz")
    return file


def lines_of(arguments, capsys):
    """Run a command; return its status and the lines of stdout and stderr."""
    status = cli.main(arguments)
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_networks_are_those_of_known_runs_and_small():
    files = list(weights.path_of("", 0).parent.glob("[!.]*"))
    assert {weights.path_of(*run) for run in TRAINED.values()} == set(files)
    assert sum(file.stat().st_size for file in files) <= 5.2e6
    assert all(records.read(experiment(id), seed) for id, seed in TRAINED.values())


@pytest.mark.parametrize("name", TRAINED)
def test_float16_changes_the_accuracy_by_less_than_a_tenth_of_a_point(name, real_cifar):
    id, seed = TRAINED[name]
    some = slice(10_000 if name in ("baseline", "deeper") else 2_000)  # the others take long
    labels, record = real_cifar.test_labels[some], records.read(experiment(id), seed)
    kept = evaluate(labels, training.predict(models.load_trained(name), real_cifar.test_images[some]))
    assert abs(kept.accuracy - (record.predictions[some] == labels).mean()) < 0.001
    assert kept.loss == pytest.approx(record.losses[some].astype(float).mean(), rel=1e-3)
    assert (kept.predictions == record.predictions[some]).mean() > 0.995


def test_unknown_name_is_refused(tells):
    with tells(LabError, "trained network is 'deepest'", "'baseline', 'deeper', 'improved'"):
        models.load_trained("deepest")


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def one_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def of_another_run(file):
    weights.write(file, "deeper-40000-seed11", models.deeper().get_weights())


def of_another_network(file):
    weights.write(file, file.stem, models.second_convolution().get_weights())


def with_more_weights(file):
    weights.write(file, file.stem, [*models.deeper().get_weights(), np.zeros(1)])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda file: file.unlink(), "can't be read (No such file or directory)"),
        (cut, "is damaged"),
        (one_bit, "is damaged"),
        (of_another_run, "is of another run or network"),
        (of_another_network, "is of another run or network"),
        (with_more_weights, "is of another run or network"),
    ],
)
def test_file_that_cannot_be_used_is_named_with_what_to_do(change, words, folder, tells):
    change(folder)
    with tells(LabError, f"{folder} {words}", "git, or make it anew with lab study --keep-weights deeper-40000 10"):
        models.load_trained("deeper")


@pytest.mark.parametrize("value", [1e5, np.nan])
def test_weights_that_float16_cannot_hold_are_refused(value, tmp_path, tells):
    with tells(LabError, "the network of one-seed0 has a weight that float16 can't hold"):
        weights.write(tmp_path / "one-seed0.npz", "one-seed0", [np.zeros(3, np.float32), np.array([1, value])])
    assert not list(tmp_path.iterdir())


# lab predict


@pytest.fixture
def pictures(tmp_path):
    """Two pictures that a program painted, of other sizes than the networks take."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    paths = [str(tmp_path / "noise.png"), str(tmp_path / "grey.jpg")]
    for path, pixels in zip(paths, (noise, noise[:, :, 0]), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def test_predict_prints_what_each_network_is_and_says(pictures, capsys):
    status, lines, _ = lines_of(["predict", *pictures], capsys)
    assert status == 0 and lines[:: len(TRAINED) + 1] == pictures
    for at, (id, seed) in enumerate(TRAINED.values(), 1):
        what, said = re.fullmatch(r"  (.+ \(test accuracy .+?\)) +(\w+ .+)", lines[at]).groups()
        of = experiment(id)
        assert what == f"{of.label} (test accuracy {percent(records.read(of, seed).accuracy)})"
        names, shares = zip(*re.findall(r"(\w+) ([\d.]+)\xa0%", said), strict=True)
        assert len(set(names)) == 3 and set(names) <= set(CLASS_NAMES)
        assert list(shares) == sorted(shares, key=float, reverse=True) and sum(map(float, shares)) <= 100.2


def test_predict_gives_the_probabilities_of_the_network(pictures, capsys):
    _, lines, _ = lines_of(["predict", pictures[0]], capsys)
    square = np.asarray(Image.open(pictures[0]))[:, 10:50]
    small = Image.fromarray(square).resize((32, 32), Image.Resampling.BOX)
    logits = models.load_trained("deeper")(np.asarray(small)[None])
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    assert f"{CLASS_NAMES[shares.argmax()]} {percent(shares.max())}" in lines[2]


def test_predict_names_a_network_that_cannot_be_used_and_prints_no_answers(folder, pictures, capsys):
    status, lines, errors = lines_of(["predict", pictures[0]], capsys)
    assert (status, lines, len(errors)) == (2, [], 1)
    assert errors[0].startswith("lab: ") and "baseline-20000" in errors[0]


@pytest.mark.parametrize(
    "name, words",
    [("nothing.png", "there is no file "), ("", " is a folder: "), ("text.png", " in a format that can't ")],
)
def test_predict_names_what_is_no_picture_and_prints_no_answers(name, words, pictures, tmp_path, capsys):
    (tmp_path / "text.png").write_text("This is no picture.")
    status, lines, errors = lines_of(["predict", pictures[0], str(tmp_path / name)], capsys)
    assert (status, lines, len(errors)) == (2, [], 1)
    assert errors[0].startswith("lab: ") and words in errors[0] and str(tmp_path) in errors[0]

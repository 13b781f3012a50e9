"""What 8 bits change, and how far the page's answers are from Keras's: `python tests/benchmarks/page.py PAGE`.

Weights of 8 bits are compared with those of 16 on all test images of CIFAR-10, and what the page computes in Chromium with
Keras on the 100 test images in it. PAGE is `report/index.html`, as `lab report` made it.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import chromium

from labhelpers import data, models, training
from labhelpers.reporting import ask

TABLE = Path(__file__).with_suffix(".md")
HEADER = ["network", "accuracy, 16 bits (%)", "8 bits (%)", "images changed by more than 0.03 (%)", "largest change"]
HEADER += ["largest difference of a logit, page and Keras", "milliseconds in the page (median)"]


def main(page: Path) -> None:
    cifar = data.load()
    table = pd.read_csv(page.parent / "examples" / ask.FILE)
    files = [io.BytesIO(base64.b64decode(text)) for text in table["webp"]]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    told, taken = [], []
    with tempfile.TemporaryDirectory() as folder, chromium.Chromium(Path(folder)) as browser:
        browser.open(page.resolve().as_uri())
        for image in images:
            both = "all => all.map(it => [it.logits, it.milliseconds])"
            answers = browser.see(f"askNetworks({image.ravel().tolist()}, null, '').then({both})")
            logits, milliseconds = zip(*answers, strict=True)
            told.append(logits)
            taken.append(milliseconds)
    rows = []
    for number, name in enumerate(ask.NETWORKS):
        model = models.load_trained(name)
        before = training.predict(model, cifar.test_images)
        model.set_weights(ask.rounded(model.get_weights()))
        after = training.predict(model, cifar.test_images)
        changes = abs(after - before).max(axis=1)
        right = [100 * (some.argmax(axis=1) == cifar.test_labels).mean() for some in (before, after)]
        distance = abs(np.array(told)[:, number] - model.predict(images, verbose=0)).max()
        row = [name, *(f"{share:.2f}" for share in right), f"{100 * (changes > 0.03).mean():.2f}"]
        rows.append([*row, f"{changes.max():.3f}", f"{distance:.1g}", f"{np.median(np.array(taken)[:, number]):.0f}"])
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    text = "# The networks in the page\n\nWritten by `python tests/benchmarks/page.py report/index.html`.\n\n"
    text += "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    print(text)
    TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Stand-in images, drawn by a program, so that everything runs without CIFAR-10: ten classes of small scenes.

Every machine draws the same bytes, because pixels come from sums, products, quotients and comparisons of float32 alone,
for which IEEE 754 allows one result only.
"""

import numpy as np

SIDE = 32
CHUNK = 1_000  # images drawn with one random generator, 100 of each class
CENTRES = (np.arange(SIDE, dtype=np.float32) + 0.5) * 2 / SIDE - 1  # of pixels, from -1 to 1
CONTOURS = {  # which points are inside
    "ellipse": lambda x, y: x * x + y * y <= 1,
    "box": lambda x, y: (np.abs(x) <= 1) & (np.abs(y) <= 1),
    "triangle": lambda x, y: (2 * np.abs(x) + y <= 1) & (y >= -1),
    "mound": lambda x, y: x * x + y * y <= 1,  # an ellipse anywhere in the foreground
}

# fmt: off
COLOURS = {  # mean red, green and blue; how far all three vary together, and each by itself
    "sky": (165, 185, 205, 50, 40), "water": (90, 120, 135, 50, 40), "road": (125, 122, 120, 45, 30),
    "grass": (120, 130, 80, 50, 40), "trees": (115, 120, 90, 60, 40), "paint": (130, 120, 120, 60, 80),
    "metal": (190, 190, 195, 55, 30), "glass": (110, 120, 135, 60, 15), "black": (40, 38, 42, 25, 8),
    "fur": (125, 100, 78, 70, 22), "mane": (80, 65, 55, 60, 15), "skin": (105, 115, 68, 45, 30),
}

# Colours above and below the horizon, then shapes from back to front: contour, colour, centre x, y, half width, half
# height. An object reaches from about -1 to 1 and looks to the right; a triangle of negative height points down.
LEGS = "box fur -0.5 -0.45 0.08 0.35", "box fur 0.4 -0.45 0.08 0.35", "ellipse fur 0 0 0.65 0.27"
LONG_LEGS = "box fur -0.45 -0.5 0.06 0.5", "box fur 0.4 -0.5 0.06 0.5", "ellipse fur 0 0 0.6 0.25"
WHEELS = "ellipse black -0.6 -0.33 0.2 0.2", "ellipse black 0.6 -0.33 0.2 0.2"
SCENES = {
    "airplane": ("sky", "water", "triangle metal -0.1 0.25 0.3 0.35", "ellipse metal 0 0 0.95 0.16",
                 "triangle metal -0.1 -0.3 0.35 -0.4", "triangle paint -0.8 0.25 0.18 0.3"),
    "automobile": ("sky", "road", "ellipse paint -0.1 0.1 0.6 0.42", "box glass -0.1 0.2 0.35 0.15",
                   "box paint 0 -0.12 0.95 0.2", *WHEELS),
    "bird": ("sky", "grass", "ellipse paint 0.75 0.35 0.25 0.07", "box paint 0 -0.5 0.05 0.3",
             "ellipse fur -0.7 0.05 0.4 0.13", "ellipse fur 0 0 0.58 0.33", "ellipse fur 0.5 0.4 0.22 0.22"),
    "cat": ("trees", "grass", *LEGS, "ellipse fur 0.6 0.35 0.27 0.26", "box fur -0.8 0.4 0.06 0.45",
            "triangle fur 0.45 0.65 0.12 0.18", "triangle fur 0.75 0.65 0.12 0.18"),
    "deer": ("trees", "grass", *LONG_LEGS, "box fur 0.55 0.4 0.09 0.3", "ellipse fur 0.7 0.65 0.2 0.13",
             "triangle mane 0.6 0.95 0.3 -0.25", "ellipse metal -0.6 0.08 0.1 0.12"),
    "dog": ("trees", "grass", *LEGS, "ellipse fur 0.6 0.35 0.25 0.23", "ellipse fur 0.85 0.27 0.25 0.12",
            "ellipse mane 0.5 0.25 0.12 0.26", "box fur -0.75 0.15 0.06 0.2"),
    "frog": ("trees", "grass", "ellipse skin 0 -0.12 0.6 0.33", "ellipse skin -0.5 -0.3 0.4 0.2",
             "ellipse skin 0.4 0.12 0.37 0.27", "ellipse black 0.3 0.38 0.1 0.1", "ellipse black 0.6 0.38 0.1 0.1"),
    "horse": ("trees", "grass", *LONG_LEGS, "box mane 0.45 0.45 0.1 0.33", "box fur 0.6 0.4 0.12 0.3",
              "ellipse fur 0.8 0.65 0.28 0.13", "box mane -0.75 -0.1 0.09 0.38"),
    "ship": ("sky", "water", "box black 0 0.5 0.04 0.5", "box metal -0.2 0.15 0.45 0.22", "triangle paint 0 -0.25 1.3 -0.3"),
    "truck": ("sky", "road", "box paint -0.3 0.2 0.65 0.42", "box metal 0.65 0.05 0.28 0.33",
              "box glass 0.72 0.18 0.15 0.12", "ellipse black -0.25 -0.33 0.2 0.2", *WHEELS),
}
# fmt: on


def draw(n_train: int = 50_000, n_test: int = 10_000) -> tuple[np.ndarray, ...]:
    """Draw the stand-in data set: training images, their labels, test images, their labels.

    Images are uint8, (n, 32, 32, 3), RGB, 0 to 255; labels are uint8, (n,), in the order of CIFAR-10's classes, 100 of
    each in every 1,000 images. A smaller `n_train` or `n_test` gives the beginning of the larger set.
    """
    arrays = []
    for number, n in enumerate((n_train, n_test)):
        images, labels = np.empty((n, SIDE, SIDE, 3), np.uint8), np.empty(n, np.uint8)
        for start in range(0, n, CHUNK):
            rng = np.random.default_rng([0, number, start // CHUNK])
            order = rng.permutation(CHUNK)[: n - start]
            images[start : start + CHUNK] = np.concatenate([_paint(rng, *scene) for scene in SCENES.values()])[order]
            labels[start : start + CHUNK] = order // (CHUNK // len(SCENES))
        arrays += [images, labels]
    return tuple(arrays)


def _paint(rng, above, below, *shapes):
    """Return images of a class: each pixel has the colour of the last layer that covers it."""
    n = CHUNK // len(SCENES)

    def vary(low, high, *shape):
        return low + (high - low) * rng.random((n, *shape), dtype=np.float32)

    size = vary(0.4, 0.85, 1)
    mirrored = np.where(vary(-1, 1, 1) < 0, -size, size)
    points = np.stack([CENTRES / mirrored, -CENTRES / size], axis=1) - vary(-0.6, 0.6, 2, 1)
    layers = (-CENTRES[:, None] < (vary(-0.5, 0.5, 1) + vary(-0.3, 0.3, 1) * CENTRES)[:, None]).astype(np.uint8)
    colours = [above, below]
    for shape in (*shapes, *2 * [f"mound {below} 0 -1 0.6 0.4"]):
        contour, colour, *numbers = shape.split()
        centre, half = np.array(numbers, np.float32).reshape(2, 2, 1)
        shift = 1.5 if contour == "mound" else 0.08
        x, y = ((points - centre - vary(-shift, shift, 2, 1)) / (half * vary(0.8, 1.25, 2, 1))).swapaxes(0, 1)
        np.maximum(layers, CONTOURS[contour](x[:, None], y[:, :, None]) * np.uint8(len(colours)), out=layers)
        colours.append(colour)
    mean, together, each = np.split(np.array(list(COLOURS.values()), np.float32), (3, 4), axis=1)
    palette = mean + together * vary(-1, 1, len(mean), 1) + each * vary(-1, 1, len(mean), 3)
    palette = palette[:, [list(COLOURS).index(name) for name in colours]] * vary(0.65, 1.2, len(colours), 1)
    starts = len(colours) * np.arange(n).reshape(n, 1, 1)  # of each image's colours in the flat palette
    pixels = palette.reshape(-1, 3).take(layers + starts, axis=0).reshape(n, SIDE, 3 * SIDE)
    pixels *= vary(0.75, 1.2, 1, 1) + vary(-0.25, 0.25, 1, 1) * CENTRES.repeat(3)
    pixels += (rng.integers(256, size=pixels.shape, dtype=np.uint8) - np.float32(127.5)) * vary(0, 0.3, 1, 1)
    return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8).reshape(n, SIDE, SIDE, 3)

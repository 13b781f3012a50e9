"""Stand-in images, drawn by a program for when the real CIFAR-10 is not available: ten classes of small scenes.

A scene is a background and a few flat shapes, painted from back to front. A shape is a signed distance function: the
distance of each pixel from an edge, negative inside. Sizes, positions, colours, light and noise vary so widely that the
baseline network reaches about 60 % accuracy, as on CIFAR-10. Animals resemble each other and share their surroundings,
and so do vehicles: most mistakes stay within either group.

Pixels come from sums, products, quotients, square roots and comparisons alone, for which IEEE 754 allows one result
only, so every machine draws the same bytes.
"""

from functools import reduce

import numpy as np

SIZE = 32
CHUNK = 1_000  # images drawn with one random generator: few enough to stay in the processor's cache
PER_CLASS = CHUNK // 10

# Pixel centres from -1 (left, bottom) to 1 (right, top), shaped to broadcast over images.
X = ((np.arange(SIZE, dtype=np.float32) + 0.5) * 2 / SIZE - 1).reshape(1, 1, SIZE)
Y = -X.reshape(1, SIZE, 1)

# Palettes: each image takes one colour of each palette that its scene uses, and varies it a little.
SKY = (115, 165, 215), (170, 195, 220), (205, 205, 205), (235, 185, 140), (85, 110, 160)
FOLIAGE = (60, 90, 50), (110, 130, 80), (165, 175, 150), (125, 110, 80), (150, 185, 215)
GRASS = (95, 135, 65), (150, 150, 80), (70, 100, 60), (185, 165, 115), (225, 225, 225)
ROAD = (110, 110, 115), (150, 145, 140), (85, 85, 90), (170, 160, 140)
WATER = (50, 90, 130), (75, 120, 140), (120, 145, 160), (40, 60, 85)
PAINT = (200, 40, 40), (40, 80, 170), (235, 235, 235), (60, 60, 65), (215, 180, 60), (150, 155, 160)
METAL = (235, 235, 240), (190, 195, 205), (120, 130, 145), (220, 225, 235), (200, 70, 60)
GLASS = (60, 70, 85), (170, 190, 205)
FUR = (120, 75, 45), (165, 115, 70), (70, 55, 45), (200, 170, 130), (150, 145, 140), (95, 90, 90)
SKIN = ((100, 150, 60), (130, 130, 70), (120, 90, 60), (80, 110, 80), *FUR[:3])
BEAK = (220, 150, 50), (60, 50, 45)
BLACK, WHITE = ((40, 38, 42),), ((230, 228, 222),)


def draw(n_train: int = 50_000, n_test: int = 10_000) -> tuple[np.ndarray, ...]:
    """Draw the stand-in data set: training images, their labels, test images, their labels.

    Images are uint8, (n, 32, 32, 3), RGB, 0 to 255; labels are uint8, (n,), in the order of CIFAR-10's classes, 100 of
    each in every 1,000 images. A smaller `n_train` or `n_test` gives the beginning of the larger set.
    """
    return *_draw_set(n_train, 0), *_draw_set(n_test, 1)


def _draw_set(n, which):
    images, labels = np.empty((n, SIZE, SIZE, 3), np.uint8), np.empty(n, np.uint8)
    for start in range(0, n, CHUNK):
        rng = np.random.default_rng([0, which, start // CHUNK])
        order = rng.permutation(CHUNK)[: n - start]
        drawn = np.concatenate([Canvas(rng, *scene).develop(paint) for paint, *scene in CLASSES])
        images[start : start + CHUNK] = drawn[order]
        labels[start : start + CHUNK] = order // PER_CLASS
    return images, labels


class Canvas:
    """Unfinished images of a class: float32 `pixels` (n, 3, 32, 32), and the coordinates `x`, `y` of the shapes."""

    def __init__(self, rng, above, below, horizon, tilt):
        """Paint the colours above and below the horizon, with blotches, and choose the object's coordinates."""
        self.rng = rng
        sky, self.ground = self.colour(above), self.colour(below)
        height = Y - self.vary(-0.2, 0.2) * X - self.vary(*horizon)
        cover = np.clip(0.5 - height * self.vary(2, 16), 0, 1)
        self.pixels = sky + cover[:, None] * (self.ground - sky)
        self.pixels += self.blotches()[:, None] * self.vary(0, 110, (1, 1, 1))
        # In its own coordinates the object reaches from about -1 to 1 and looks to the right.
        self.scale = self.vary(0.45, 0.9)
        facing = np.where(self.vary(-1, 1) < 0, -self.scale, self.scale)
        self.x = (X - self.vary(-0.35, 0.35)) / facing
        self.y = (Y - self.vary(-0.35, 0.35)) / self.scale + self.vary(-tilt, tilt) * self.x

    def vary(self, low, high, shape=(1, 1)):
        """Return a random number for each image, from `low` to `high`, shaped to broadcast over its pixels."""
        return low + (high - low) * self.rng.random((PER_CLASS, *shape), dtype=np.float32)

    def colour(self, palette):
        """Return one of the palette's colours for each image, varied in each channel."""
        chosen = np.array(palette, np.float32)[self.rng.integers(len(palette), size=PER_CLASS)]
        return chosen[:, :, None, None] + self.vary(-25, 25, (3, 1, 1))

    def blotches(self, cells=7):
        """Return smooth noise from -0.5 to 0.5: random values on a coarse grid, interpolated linearly."""
        grid = self.vary(-0.5, 0.5, (cells + 1, cells + 1))
        at = np.arange(SIZE, dtype=np.float32) * cells / SIZE
        left, part = at.astype(int), at % 1
        grid = grid[:, :, left] * (1 - part) + grid[:, :, left + 1] * part
        return grid[:, left] * (1 - part)[:, None] + grid[:, left + 1] * part[:, None]

    def ellipse(self, x, y, a, b):
        """Return the distance from an ellipse about (x, y) with half axes `a` and `b`; exact for a circle only."""
        a, b = np.float32(a), np.float32(b)
        return (np.sqrt(((self.x - x) / a) ** 2 + ((self.y - y) / b) ** 2) - 1) * np.minimum(a, b)

    def box(self, x, y, a, b):
        """Return the distance from a box about (x, y) with half sides `a` and `b`."""
        return np.maximum(np.abs(self.x - x) - a, np.abs(self.y - y) - b)

    def limb(self, x0, y0, x1, y1, radius):
        """Return the distance from a line with round ends, 2 `radius` wide."""
        x, y, dx, dy = self.x - x0, self.y - y0, x1 - x0, y1 - y0
        part = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
        return np.sqrt((x - part * dx) ** 2 + (y - part * dy) ** 2) - radius

    def polygon(self, *corners):
        """Return the distance from a convex polygon, its corners named anticlockwise."""
        edges = []
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            dx, dy = x1 - x0, y1 - y0
            length = np.sqrt(np.float32(dx * dx + dy * dy))
            edges.append((self.x - x0) * (dy / length) - (self.y - y0) * (dx / length))
        return reduce(np.maximum, edges)

    def paint(self, colour, *shapes):
        """Fill shapes with a colour; a pixel on an edge takes part of it."""
        pixels_inside = -reduce(np.minimum, shapes) * (self.scale * (SIZE / 2))
        cover = np.clip(0.5 + pixels_inside, 0, 1)
        self.pixels += cover[:, None] * (colour - self.pixels)

    def develop(self, paint_object):
        """Add the object, mounds in the foreground, light from one side and noise; return uint8 (n, 32, 32, 3)."""
        paint_object(self)
        self.x, self.y, self.scale = X, Y, 1
        for _ in range(2):
            shade, a, b = self.vary(0.6, 1.3, (1, 1, 1)), self.vary(0.1, 0.6), self.vary(0.1, 0.35)
            self.paint(self.ground * shade, self.ellipse(self.vary(-1, 1), self.vary(-1.1, -0.1), a, b))
        light = self.vary(0.65, 1.15) + self.vary(-0.25, 0.25) * X + self.vary(-0.25, 0.25) * Y
        self.pixels *= light[:, None]
        self.pixels += self.vary(-1, 1, (3, SIZE, SIZE)) * self.vary(0, 35, (1, 1, 1))
        return np.clip(self.pixels, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def airplane(c):
    hull, nose, sweep, span = c.colour(METAL), c.vary(0.8, 1.05), c.vary(0.3, 0.6), c.vary(0.35, 0.7)
    c.paint(hull * 0.8, c.polygon((0.3, 0), (-sweep, span), (-sweep - 0.2, span), (-0.2, 0)))  # far wing
    fin = c.polygon((0.4 - nose, 0), (-nose, 0.45), (-nose - 0.1, 0.45), (-nose, 0))
    c.paint(hull, fin, c.ellipse(0, 0, nose, c.vary(0.12, 0.2)))
    c.paint(hull * 0.65, c.polygon((0.25, -0.05), (-0.2, -0.05), (-sweep - 0.25, -span), (-sweep, -span)))


def automobile(c):
    top, front, back = c.vary(0.35, 0.6), c.vary(0.35, 0.7), c.vary(-0.9, -0.6)
    cabin = c.polygon((back, 0), (front, 0), (front - 0.3, top), (back + 0.15, top))
    c.paint(c.colour(PAINT), cabin, c.box(0, -0.1, 0.95, c.vary(0.17, 0.25)))
    roof = top - 0.08
    window = c.polygon((back + 0.12, 0.08), (front - 0.12, 0.08), (front - 0.33, roof), (back + 0.2, roof))
    c.paint(c.colour(GLASS), window)
    wheels(c, (-0.55, 0.55), -0.3, c.vary(0.16, 0.24))


def truck(c):
    top = c.vary(0.25, 0.5)
    c.paint(c.colour(PAINT), c.box(-0.3, c.vary(0.1, 0.25), 0.65, c.vary(0.3, 0.5)))
    cab, frame = c.box(0.65, top / 2, 0.28, top / 2 + 0.25), c.box(0, -0.22, 0.95, 0.1)
    c.paint(c.colour(PAINT), cab, frame)
    c.paint(c.colour(GLASS), c.box(0.74, top * 0.7, 0.14, 0.12))
    wheels(c, (-0.7, -0.35, 0.6), -0.35, c.vary(0.14, 0.22))


def wheels(c, places, height, radius):
    c.paint(c.colour(BLACK), *[c.ellipse(x, height, radius, radius) for x in places])


def ship(c):
    deck = c.vary(0.15, 0.5)
    c.paint(c.colour(BLACK), c.box(c.vary(-0.3, 0.3), 0.4, 0.04, c.vary(0.3, 0.6)))  # mast
    c.paint(c.colour(METAL), c.box(c.vary(-0.3, 0), deck / 2, c.vary(0.25, 0.6), deck / 2))
    c.paint(c.colour(PAINT), c.polygon((-0.95, 0.05), (-0.75, -0.35), (0.7, -0.35), (1.05, 0.1)))


def bird(c):
    plumage, x, y, head = c.colour(FUR + PAINT[:3]), c.vary(0.4, 0.6), c.vary(0.25, 0.55), c.vary(0.18, 0.26)
    beak = c.polygon((x + 0.1, y - 0.1), (x + c.vary(0.35, 0.6), y - 0.05), (x + 0.1, y + 0.1))
    c.paint(c.colour(BEAK), beak, *[c.limb(a, -0.2, a + 0.1, -0.75, 0.04) for a in (-0.1, 0.1)])
    tail = c.polygon((-0.3, 0.1), (-1, c.vary(0.05, 0.4)), (-1, -0.15), (-0.3, -0.2))
    c.paint(plumage, tail, c.ellipse(0, 0, 0.55, c.vary(0.28, 0.4)), c.limb(0.3, 0.1, x, y, head))
    c.paint(plumage * 0.7, c.ellipse(-0.15, 0.05, 0.4, c.vary(0.12, 0.22)))  # wing
    c.paint(c.colour(BLACK), c.ellipse(x + 0.05, y + 0.05, 0.05, 0.05))


def frog(c):
    skin, x, y = c.colour(SKIN), c.vary(0.3, 0.5), c.vary(0.15, 0.35)
    thigh, foot = c.ellipse(-0.5, -0.25, c.vary(0.3, 0.45), 0.22), c.limb(-0.6, -0.45, -0.1, -0.5, 0.08)
    c.paint(skin * 0.75, thigh, foot, c.limb(0.3, -0.1, 0.5, -0.5, 0.09))
    lids = [c.ellipse(x + a, y + 0.22, 0.13, 0.13) for a in (-0.12, 0.15)]
    c.paint(skin, c.limb(-0.4, -0.15, x, y, c.vary(0.26, 0.36)), *lids)
    c.paint(c.colour(BLACK), *[c.ellipse(x + a, y + 0.24, 0.06, 0.06) for a in (-0.12, 0.15)])


def quadruped(c, *ranges):
    """Paint body, legs, neck and head; return the coat, and the head's x, y and size, for what is specific.

    The ranges are those of the legs' length, girth, the head's x and y, its size, and the muzzle's length.
    """
    legs, girth, x, y, head, muzzle = (c.vary(*limits) for limits in ranges)
    coat, stride, thick, feet = c.colour(FUR), c.vary(0, 0.16), c.vary(0.06, 0.1), -legs - girth * 0.6
    c.paint(coat * 0.7, *[c.limb(a, 0, a - stride, feet, thick) for a in (-0.45, 0.4)])  # far legs
    near = [c.limb(a, 0, a + stride, feet, thick) for a in (-0.5, 0.35)]
    snout = c.limb(x, y, x + head + muzzle, y - muzzle / 2, head / 2)
    skull, neck = c.ellipse(x, y, head * 1.1, head), c.limb(0.4, 0.1, x, y, head * 0.7)
    c.paint(coat, c.ellipse(0, 0, 0.62, girth), *near, neck, skull, snout)
    c.paint(c.colour(BLACK), c.ellipse(x + 0.3 * head, y + 0.2 * head, 0.05, 0.05))
    return coat, x, y, head


def cat(c):
    coat, x, y, head = quadruped(c, (0.2, 0.4), (0.24, 0.32), (0.5, 0.7), (0.2, 0.4), (0.24, 0.34), (0, 0.04))
    tips = [(x + a * head, y + head * 0.6) for a in (-0.6, 0.6)]
    ears = [c.polygon((a - 0.13, b), (a + 0.13, b), (a, b + 0.3)) for a, b in tips]
    c.paint(coat * 0.85, *ears, c.limb(-0.55, 0.05, -0.9, c.vary(0.3, 0.8), 0.06))


def dog(c):
    coat, x, y, head = quadruped(c, (0.3, 0.5), (0.22, 0.3), (0.55, 0.75), (0.25, 0.5), (0.2, 0.3), (0.1, 0.2))
    c.paint(coat, c.limb(-0.55, 0.1, -0.85, c.vary(0, 0.5), 0.05))
    ear, saddle = c.ellipse(x - head * 0.6, y - 0.1, 0.12, c.vary(0.2, 0.3)), c.vary(0.1, 0.4)
    c.paint(coat * 0.6, ear, c.ellipse(-0.15, 0.1, saddle, 0.16))


def deer(c):
    coat, x, y, _ = quadruped(c, (0.4, 0.65), (0.2, 0.28), (0.6, 0.8), (0.45, 0.7), (0.14, 0.2), (0.08, 0.15))
    top, wide = y + c.vary(0.3, 0.55), c.vary(0.1, 0.3)
    c.paint(coat * 0.6, *[c.limb(x, y + 0.1, x + a * wide, top, 0.04) for a in (-1, 0.2, 1)])  # antlers
    c.paint(c.colour(WHITE), c.ellipse(-0.6, 0.1, 0.1, 0.12))  # tail


def horse(c):
    coat, x, y, _ = quadruped(c, (0.4, 0.6), (0.25, 0.33), (0.65, 0.85), (0.4, 0.65), (0.15, 0.2), (0.15, 0.25))
    mane, tail = c.limb(0.35, 0.3, x - 0.1, y + 0.15, 0.08), c.limb(-0.6, 0.1, -0.75, -0.4, 0.08)
    c.paint(coat * c.vary(0.3, 0.8, (1, 1, 1)), mane, tail)


CLASSES = (  # what paints the object, palettes above and below the horizon, its height, the largest tilt
    (airplane, SKY, SKY + WATER, (-1.6, 0.0), 0.5),
    (automobile, SKY + FOLIAGE, ROAD, (-0.5, 0.4), 0.15),
    (bird, SKY + FOLIAGE, GRASS + SKY, (-0.5, 0.4), 0.4),
    (cat, FOLIAGE + FUR, GRASS + FUR, (-0.5, 0.4), 0.15),
    (deer, FOLIAGE, GRASS, (-0.5, 0.4), 0.15),
    (dog, FOLIAGE + FUR, GRASS + FUR, (-0.5, 0.4), 0.15),
    (frog, FOLIAGE + WATER, GRASS + WATER, (-0.5, 0.4), 0.15),
    (horse, FOLIAGE + SKY, GRASS, (-0.5, 0.4), 0.15),
    (ship, SKY, WATER, (-0.1, 0.5), 0.15),
    (truck, SKY + FOLIAGE, ROAD, (-0.5, 0.4), 0.15),
)

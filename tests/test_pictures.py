"""A picture of one's own is read as a viewer shows it, or one line says why not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from labhelpers import data
from labhelpers.errors import LabError

GREY = (np.arange(32)[:, None] * 4 + np.arange(32) * 4).astype(np.uint8)  # 0 to 248
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
ALPHA = np.where(np.arange(32) < 16, 0, 255)[None].repeat(32, axis=0).astype(np.uint8)
BLACK = np.where(ALPHA == 0, 255, 0).astype(np.uint8)  # what is opaque is black, on white
PALETTE = Image.fromarray(np.uint8(ALPHA > 0))
PALETTE.putpalette([9, 9, 9, 0, 0, 0])


def png(values, colour_type):
    """Write a PNG of 16 bits a channel, which Pillow can't."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.astype(int) * 257)
    header = struct.pack(">IIBBBBB", 32, 32, 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    coded = [struct.pack(">I", len(c)) + t + c + struct.pack(">I", zlib.crc32(t + c)) for t, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded)


FRAMES = {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}
WHOLE = {  # file: what is saved, how, what is seen
    "rgb.png": (RGB, {}, RGB),
    "grey of 16 bits.png": (GREY * np.uint16(257), {}, GREY),
    "dark grey of 16 bits.png": (GREY.astype(np.uint16), {}, np.rint(GREY / 257)),
    "dark grey of 16 bits.pgm": (b"P5 32 32 65535\n" + GREY.astype(">u2").tobytes(), {}, np.rint(GREY / 257)),
    "16 bits, one transparent.png": (
        GREY * np.uint16(257),
        {"transparency": 257 * 100},
        np.where(GREY == 100, 255, GREY),
    ),
    "rgb of 16 bits.png": (png(RGB, 2), {}, RGB),
    "rgba of 16 bits.png": (png(np.dstack([0 * RGB, ALPHA]), 6), {}, BLACK),
    "integers.tif": (GREY.astype(np.int32), {}, GREY),
    "fractions.tif": ((GREY / 255).astype(np.float32), {}, GREY),
    "not a number.tif": (np.where(GREY > 0, GREY / 255, np.nan).astype(np.float32), {}, GREY),
    "fractions that overshoot.tif": ((GREY / 248 * 1.02).astype(np.float32), {}, np.minimum(GREY / 248 * 260, 255)),
    "floats that overshoot.tif": ((GREY / 248 * 256).astype(np.float32), {}, np.minimum(GREY / 248 * 256, 255)),
    "floats of 16 bits.tif": (GREY * np.float32(257), {}, GREY),
    "white is 0.tif": (GREY, {"tiffinfo": {262: 0}}, GREY),
    "white is 0, of 16 bits.tif": (GREY * np.uint16(257), {"tiffinfo": {262: 0}}, 255 - GREY),  # Pillow: as it is
    "one bit.png": (ALPHA > 0, {}, ALPHA),
    "rgba.png": (np.dstack([0 * RGB, ALPHA]), {}, BLACK),
    "grey and alpha.png": (Image.fromarray(ALPHA * 0).convert("LA"), {}, ALPHA * 0),
    "palette, one transparent.png": (PALETTE, {"transparency": 0}, BLACK),
    "palette with alpha.png": (PALETTE, {"transparency": b"\0\xff"}, BLACK),
    "palette.gif": (PALETTE, {"transparency": 0}, BLACK),
    "rgb, one transparent.png": (BLACK[..., None].repeat(3, -1), {"transparency": (0, 0, 0)}, BLACK * 0 + 255),
    "cmyk.jpg": (Image.fromarray(RGB).convert("CMYK"), {"quality": 98}, RGB),
    "lab.tif": (Image.fromarray(GREY).convert("RGB").convert("LAB"), {}, GREY),
    "moving.gif": (Image.fromarray(GREY), {"save_all": True, "append_images": [Image.fromarray(255 - GREY)]}, GREY),
    "pages.tif": (RGB, FRAMES, RGB),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "saved", "options", "seen"), [(name, *case) for name, case in WHOLE.items()], ids=WHOLE
)
def test_every_kind_of_picture_is_read_as_a_viewer_shows_it(name, saved, options, seen, tmp_path):
    path = tmp_path / f"été {name}"
    if isinstance(saved, bytes):
        path.write_bytes(saved)
    else:
        (saved if isinstance(saved, Image.Image) else Image.fromarray(saved)).save(path, **options)
    image = data.read_image(path)
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    expected = seen if seen.ndim == 3 else seen[..., None].repeat(3, axis=-1)
    np.testing.assert_allclose(image, expected, atol=8 if path.suffix == ".jpg" else 1)


def swapped():
    """A profile of sRGB whose red and blue are exchanged: a picture with it looks so, too."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for one, other in ((b"rXYZ", b"bXYZ"), (b"rTRC", b"bTRC")):
        i, j = profile.index(one), profile.index(other)
        profile[i : i + 4], profile[j : j + 4] = other, one
    return bytes(profile)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {"another": (swapped(), RGB[..., ::-1]), "sRGB": (SRGB, RGB), "broken": (swapped()[:200], RGB)}


@pytest.mark.parametrize(("profile", "seen"), PROFILES.values(), ids=PROFILES)
def test_colours_are_those_of_the_embedded_profile(profile, seen, tmp_path):
    path = tmp_path / "photo.png"
    for picture in (Image.fromarray(RGB), Image.fromarray(RGB).convert("RGBA")):
        picture.save(path, icc_profile=profile)
        np.testing.assert_allclose(data.read_image(path), seen, atol=1)


def test_picture_is_cut_to_its_middle_and_averaged_whatever_its_size(tmp_path):
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[::2, 32:96] = 200  # stripes, in the middle square alone
    picture[:, :32] = 255
    Image.fromarray(picture).save(tmp_path / "stripes.png")
    assert (data.read_image(tmp_path / "stripes.png") == 100).all()
    Image.fromarray(picture[:9, :5]).save(tmp_path / "small.png")
    assert data.read_image(tmp_path / "small.png").shape == (32, 32, 3)


def orientation(number, more=b"", count=1):
    """EXIF that says how to turn a picture, with more entries."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, number, 0)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, count) + entry + more + bytes(4)


TURNED = Image.Exif()
TURNED[0x0112] = 6  # "turn by 90 degrees clockwise"
TEXT_FOR_A_FRACTION = orientation(6, struct.pack("<HHI4s", 0x011A, 2, 3, b"72\0\0"), count=2)


PHOTOS = [(f"photo.{suffix}", TURNED) for suffix in ("jpg", "png", "webp", "tif")]
PHOTOS += [(f"photo with text for a fraction.{suffix}", TEXT_FOR_A_FRACTION) for suffix in ("jpg", "png", "webp")]


@pytest.mark.parametrize(("name", "exif"), PHOTOS, ids=[name for name, _ in PHOTOS])
def test_picture_taken_upright_is_seen_upright(name, exif, tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32] = 255
    Image.fromarray(picture).rotate(90).save(tmp_path / name, exif=exif)  # as a camera that was turned stores it
    seen = data.read_image(tmp_path / name)
    assert (seen[:16] > 250).all() and (seen[16:] < 5).all()


BROKEN_EXIF = {
    "empty": b"Exif\0\0",
    "cut off": b"Exif\0\0II*\0\x08",
    "cut in an entry": orientation(6)[:-9],
    "no such turn": orientation(77),
    "entries missing": orientation(1, count=99),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_broken_exif_is_ignored(exif, suffix, tmp_path):
    Image.new("RGB", (64, 48), (200, 60, 40)).save(tmp_path / f"photo.{suffix}", exif=exif)
    np.testing.assert_allclose(
        data.read_image(tmp_path / f"photo.{suffix}"), np.full((32, 32, 3), [200, 60, 40]), atol=2
    )


def saved(suffix, part=slice(None)):
    """Return the bytes of a picture, or a part of them."""
    file = io.BytesIO()
    Image.fromarray(RGB.repeat(4, axis=0).repeat(4, axis=1)).save(file, suffix)
    return file.getvalue()[part]


HALF = slice(800)
UNREADABLE = {
    "cut.jpg": saved("jpeg", HALF),
    "cut in its header.jpg": saved("jpeg", slice(40)),
    "cut.png": saved("png", slice(300)),
    "cut.tif": saved("tiff", slice(40)),
    "cut.jp2": saved("jpeg2000", slice(300)),
    "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
    "drawing.wmf": b"\xd7\xcd\xc6\x9a" + bytes(99),
    "letter.jpg": b"Dear Sir",
    "empty.png": b"",
}


@pytest.mark.parametrize(("name", "content"), UNREADABLE.items(), ids=UNREADABLE)
def test_file_that_is_no_whole_picture_is_reported(name, content, tmp_path, tells):
    (tmp_path / name).write_bytes(content)
    line = "is empty, damaged, cut off or in a format that can't be read: get it again, or save it as JPEG or PNG"
    with tells(LabError, f"{tmp_path / name} {line}"):
        data.read_image(tmp_path / name)


@pytest.mark.parametrize("values", [GREY - 124.0, GREY / 100, GREY * 1e4], ids=["negative", "to 2", "to millions"])
def test_numbers_of_no_usual_range_are_refused(values, tmp_path, tells):
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "a.tif")
    with tells(
        LabError, tmp_path / "a.tif", "holds values from", "not 0 to 1, 0 to 255 or 0 to 65535: save it as JPEG"
    ):
        data.read_image(tmp_path / "a.tif")


@pytest.mark.filterwarnings("error")
def test_large_picture_is_read_and_a_huge_one_refused_in_one_line(tmp_path, tells, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # Pillow warns above, and refuses twice as many
    Image.new("L", (400, 400), 9).save(tmp_path / "large.png")
    assert (data.read_image(tmp_path / "large.png") == 9).all()
    Image.new("L", (500, 500)).save(tmp_path / "huge.png")
    with tells(LabError, tmp_path / "huge.png", "too many pixels"):
        data.read_image(tmp_path / "huge.png")


def test_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path, monkeypatch):
    Image.new("RGB", (4_200, 4_200), (200, 60, 40)).save(tmp_path / "large.jpg")
    sizes = []
    convert = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda self, mode: sizes.append(self.size) or convert(self, mode))
    assert np.ptp(data.read_image(tmp_path / "large.jpg"), axis=(0, 1)).max() <= 2
    assert sizes == [(2_100, 2_100)]


def test_missing_file_and_folder_are_reported_and_paths_are_where_the_command_was_typed(tmp_path, tells, monkeypatch):
    (tmp_path / "typed").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setenv("PWD", str(tmp_path / "typed"))
    for name in ("cat.png", 300 * "x"):
        with tells(LabError, f"no file {name} in {tmp_path / 'typed'} or {tmp_path / 'notebooks'}: give the path"):
            data.read_image(name)
    with tells(LabError, f"there is no file {tmp_path / 'cat.png'}: give the path"):
        data.read_image(tmp_path / "cat.png")
    with tells(LabError, tmp_path / "typed", "is a folder"):
        data.read_image(tmp_path / "typed")
    for value, place in ((7, "typed"), (9, "notebooks")):  # the current folder goes first
        Image.new("L", (32, 32), value).save(tmp_path / place / "cat.png")
        assert (data.read_image("cat.png") == value).all()


def test_file_that_may_not_be_read_is_reported(tmp_path, tells, monkeypatch):
    Image.new("L", (32, 32)).save(tmp_path / "cat.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Image, "open", refuse)  # file modes don't bind root
    with tells(LabError, f"{tmp_path / 'cat.png'} can't be read: Permission denied"):
        data.read_image(tmp_path / "cat.png")

"""Images of every kind come out as dark writing on paper, and an empty answer is left to flat paper alone."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from netchu.core.errors import NetchuError
from netchu.core.images import BLANK_CONFIDENCE, decode, is_blank, on_paper, read_image, to_grey
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import plain_recipe

LINE = np.full((48, 300), 230, np.uint8)
for left in range(20, 270, 14):  # slanted strokes of three pixels, as letters have them
    cv2.line(LINE, (left, 36), (left + 6, 14), 30, 3)
RED_ON_GREEN = np.where(LINE[..., None] > 99, (0, 128, 0), (251, 0, 0)).astype(np.uint8)
GREY, INK = Pillow.fromarray(LINE), Pillow.fromarray(255 - LINE)


def file(image: Pillow.Image, form: str = "PNG", **options: object) -> bytes:
    """An image file."""
    stream = io.BytesIO()
    image.copy().save(stream, form, **options)
    return stream.getvalue()


def transparent(level: int = 0) -> Pillow.Image:
    """Writing of one grey level in an otherwise transparent image."""
    return Pillow.merge("RGBA", [Pillow.new("L", GREY.size, level)] * 3 + [INK.point(lambda x: 255 * (x > 99))])


def coloured(image: Pillow.Image, mode: str, channel: int, level: int) -> Pillow.Image:
    """An image with one channel at one level."""
    channels = list(image.split())
    channels[channel] = Pillow.new("L", image.size, level)
    return Pillow.merge(mode, channels)


def palette() -> Pillow.Image:
    """A palette of two black entries, of which one is transparent."""
    image = INK.point(lambda x: x > 99).convert("P")
    image.putpalette([0] * 768)
    return image


def turned(form: str) -> bytes:
    """A transparent image that EXIF turns by a quarter."""
    exif = Pillow.Exif()
    exif[0x0112] = 8
    return file(
        transparent().rotate(-90, expand=True), form, exif=exif, **({"lossless": True} if form == "WEBP" else {})
    )


def tiff(kind: str, factor: float = 1.0, add: float = 0.0) -> bytes:
    """A TIFF in a number format."""
    return cv2.imencode(".tif", (LINE.astype(float) * factor + add).astype(kind))[1].tobytes()


def padded(side: str) -> np.ndarray:
    """The line on a wider or higher black canvas."""
    canvas = np.zeros((48, 1400) if side in "lr" else (400, 300), np.uint8)
    top, left = (200 if side == "t" else 0), (900 if side == "l" else 0)
    canvas[top : top + 48, left : left + 300] = LINE
    return canvas


SPEC: dict[str, Callable[[], bytes]] = {
    "RGBA PNG": lambda: file(transparent()),
    "white ink, transparent": lambda: file(transparent(255)),
    "blue ink, transparent": lambda: file(coloured(transparent(), "RGBA", 2, 200)),
    "RGBA WebP": lambda: file(transparent(), "WEBP", lossless=True),
    "RGBA TIFF": lambda: file(transparent(), "TIFF"),
    "LA PNG": lambda: file(transparent().convert("LA")),
    "LA TIFF": lambda: file(transparent().convert("LA"), "TIFF"),
    "palette PNG": lambda: file(palette(), transparency=bytes([0, 255])),
    "palette GIF": lambda: file(palette(), "GIF", transparency=0),
    "grey PNG with a transparent level": lambda: file(INK.point(lambda x: 255 * (x > 99)), transparency=0),
    "turned PNG": lambda: turned("PNG"),
    "turned WebP": lambda: turned("WEBP"),
    "turned AVIF": lambda: turned("AVIF"),
    "negative": lambda: file(INK),
    "negative JPEG": lambda: file(INK, "JPEG"),
    "blackboard": lambda: file(INK.point(lambda x: 45 + (x - 25) * 165 // 200), "JPEG"),
    "padded right": lambda: file(Pillow.fromarray(padded("r")), "JPEG", quality=95),
    "padded left": lambda: file(Pillow.fromarray(padded("l"))),
    "padded above and below": lambda: file(Pillow.fromarray(padded("t"))),
    "faint, 212 to 235": lambda: file(GREY.point(lambda x: 212 + (x - 30) * 23 // 200)),
    "faint JPEG": lambda: file(GREY.point(lambda x: 150 + (x - 30) * 15 // 200), "JPEG", quality=95),
    "faint negative": lambda: file(INK.point(lambda x: 30 + (x - 25) * 20 // 200)),
    "12 of 16 bits, PNG": lambda: cv2.imencode(".png", LINE.astype(np.uint16) * 16)[1].tobytes(),
    "8 of 16 bits, TIFF": lambda: tiff("u2"),
    "few levels of 16 bits": lambda: tiff("u2", 2, 30_000),
    "signed 16 bits": lambda: tiff("i2", 20),
    "below zero": lambda: tiff("i2", 1, -128),
    "32 bits": lambda: tiff("u4"),
    "32 signed bits": lambda: tiff("i4", 1e6),
    "float 0 to 1": lambda: tiff("f4", 1 / 255),
    "double 0 to 65,535": lambda: tiff("f8", 257),
    "one bit, Group 4": lambda: file(GREY.point(lambda x: x > 99, "1"), "TIFF", compression="group4"),
    "CMYK": lambda: file(GREY.convert("CMYK"), "JPEG"),
    "red on green of equal lightness": lambda: file(Pillow.fromarray(RED_ON_GREEN)),
    "AVIF": lambda: file(GREY, "AVIF"),
    "ICO": lambda: file(GREY.crop((0, 0, 200, 48)), "ICO", sizes=[(200, 48)]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPEC)
def test_every_kind_of_image_comes_out_as_dark_ink_on_paper(name: str) -> None:
    image = decode(SPEC[name](), name)[0]
    assert image.dtype == np.uint8 and image.shape[0] == 48
    assert not is_blank(image)
    paper, ink = image[2, 2:180].mean(), image[12:40, 14:180].min()
    assert paper - ink > 90, "the writing is dark enough to be read"
    expected = LINE[:, 10:180].ravel()
    likeness = [
        np.corrcoef(image[:, at : at + 170].ravel(), expected)[0, 1] for at in range(6, min(15, image.shape[1] - 169))
    ]
    assert max(likeness) > 0.85, "and stands where it stood"


def test_ordinary_images_are_not_touched(lines_folder: Path) -> None:
    for path in sorted(lines_folder.rglob("*.jpg")):
        grey = np.asarray(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
        assert (read_image(path) == grey).all()
        assert (on_paper(255 - grey) == grey).all(), "and a negative is the same image"
    desk = np.full((900, 1200), 40, np.uint8)  # a sheet on a dark desk, most of which is desk
    desk[300:700, 100:700] = 230
    desk[400:448, 150:450] = LINE
    assert (on_paper(desk, page=True) == desk).all()
    narrow = np.hstack([LINE, np.zeros((48, 8), np.uint8)])
    assert (on_paper(narrow) == narrow).all(), "the ruled line of a form stays"


@pytest.mark.parametrize("level", [255, 235, 150])
@pytest.mark.parametrize("noise", [0, 1.5, 4])
def test_only_flat_light_paper_is_empty(level: int, noise: float) -> None:
    paper = np.random.default_rng(0).normal(level, noise, (60, 700)).clip(0, 255).astype(np.uint8)
    assert is_blank(on_paper(paper))
    paper[20:40, 300:303] -= 20  # one faint stroke, a "1", in a thousandth of the picture
    assert not is_blank(on_paper(paper))
    for dark in (0, 60):
        assert not is_blank(on_paper(np.full_like(paper, dark))), "a picture that has failed is no paper"


def test_pages_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(file(GREY, "TIFF", save_all=True, append_images=[INK, GREY]))
    pages = decode(path.read_bytes(), "scan")
    assert len(pages) == 3 and all((page == LINE).all() for page in pages)
    with pytest.warns(UserWarning, match=r"scan\.tif: holds 3 pages, of which only the first"):
        assert (read_image(path) == LINE).all()
    with pytest.raises(NetchuError, match="holds 3 pages"):
        read_image(path, strict=True)
    path.write_bytes(file(GREY, "GIF", save_all=True, append_images=[INK]))
    with pytest.raises(NetchuError, match="holds 2 pages"):
        read_image(path, strict=True)
    path.write_bytes(file(transparent(), "TIFF", save_all=True, append_images=[transparent()]))
    assert all(not is_blank(page) for page in decode(path.read_bytes(), "scan"))


HEIC, AVIF = (b"\0\0\0\x18ftyp" + kind + bytes(100) for kind in (b"heic", b"avif"))


@pytest.mark.parametrize(
    ("content", "installed", "says"),
    [
        (b"", True, "is empty"),
        (b"not an image", True, "can be decoded; replace"),
        (HEIC, False, "pillow-heif"),
        (HEIC, True, "can be decoded; replace"),
        (AVIF, False, "can be decoded; replace"),
    ],
)
def test_what_cannot_be_decoded_says_what_to_do(
    content: bytes, installed: bool, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "x.heic").write_bytes(content)
    with pytest.raises(NetchuError, match=says) as error:
        read_image(tmp_path / "x.heic")
    assert str(error.value).startswith(str(tmp_path / "x.heic"))


@st.composite
def written_images(draw: st.DrawFn) -> np.ndarray:
    """Strokes on paper of any size, contrast, grain and polarity; perhaps padded."""
    height, width = draw(st.integers(16, 160)), draw(st.integers(40, 1500))
    paper = draw(st.integers(60, 255))
    ink = paper - draw(st.integers(14, paper))
    grain = draw(st.sampled_from([0.0, 0.5, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    image = np.full((height, width), paper, np.uint8)
    thick = max(2, height // 16)
    for _ in range(draw(st.integers(1, 12))):
        x = int(rng.integers(width * 8 // 10))
        end = (x + int(rng.integers(height // 3)), height // 4)
        cv2.line(image, (x, height * 3 // 4), end, ink, thick)
    image = (image + rng.normal(0, grain, image.shape)).clip(0, 255).astype(np.uint8)
    if draw(st.booleans()):
        return 255 - image
    if draw(st.booleans()):
        return np.hstack([image, np.zeros((height, draw(st.integers(height, 2 * width + height))), np.uint8)])
    return image


@st.composite
def image_files(draw: st.DrawFn) -> bytes:
    """A written image in some mode, depth and file format."""
    image = draw(written_images())
    kind = draw(
        st.sampled_from(["L", "RGB", "RGBA", "LA", "P", "u2", "i4", "f4", "alpha", "JPEG", "WEBP", "GIF", "TIFF"])
    )
    picture = Pillow.fromarray(image)
    if kind in ("L", "RGB", "RGBA", "LA", "P"):
        return file(picture.convert(kind))
    if kind == "alpha":
        level = draw(st.sampled_from([0, 255]))
        return file(Pillow.merge("LA", [Pillow.new("L", picture.size, level), Pillow.fromarray(255 - image)]))
    if kind in ("u2", "i4", "f4"):
        return cv2.imencode(".tif", (image * draw(st.sampled_from([1.0, 4.0, 16.0, 256.0]))).astype(kind))[1].tobytes()
    return file(picture, kind, quality=95)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(image_files())
def test_no_image_with_ink_is_taken_for_empty(data: bytes) -> None:
    image = decode(data, "x")[0]
    assert not is_blank(image)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_image_with_ink_is_accepted_as_empty(data: st.DataObject, tiny_bundle: Path) -> None:
    ensemble = Ensemble.from_recipe(plain_recipe([tiny_bundle]))
    written, paper = decode(data.draw(image_files()), "x")[0], np.full((40, 300), 230, np.uint8)
    one, other = (timed.reading for timed in ensemble.read([written, paper]))
    assert one.text or one.confidence == 0
    assert (other.text, other.confidence) == ("", BLANK_CONFIDENCE) and BLANK_CONFIDENCE < 1


def test_arrays_of_every_shape_are_made_grey() -> None:
    colour = np.dstack([LINE] * 3)
    for array in (
        LINE,
        LINE[..., None],
        colour,
        np.dstack([colour, LINE * 0 + 255]),
        np.dstack([LINE, LINE * 0 + 255]),
    ):
        assert (to_grey(array) == LINE).all()
    burnt = LINE.astype(np.float32)
    burnt[0, 0], burnt[1, 1] = np.inf, -np.inf
    assert (to_grey(burnt)[2:] == LINE[2:]).all()
    assert (to_grey(LINE > 99) == 255 * (LINE > 99)).all()
    assert (to_grey(np.dstack([colour, LINE * 0])) == LINE).all(), "an opacity of nothing at all says nothing"

"""From an image file of any kind to grey writing on paper: the one way in for reading, training, checking and serving.

`decode` and `read_image` give grey uint8 (h, w) with dark ink on lighter paper: transparent is paper, a negative is
turned over, black padding goes, faint writing is stretched. An image that has all this already comes out exactly as
OpenCV decodes it in grey. `is_blank` says whether there is no writing at all, the only case for an empty answer.
"""

import io
import struct
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError

FAINTEST = 25  # grey levels below the paper that ink has; less is stretched first. Real lines have 90 and more
WRITTEN_SHARE = 0.002  # share of the pixels that a line's writing covers at least
CLEAR = 190  # grey levels that faint writing is stretched to
DARKEST_PAPER = 80  # grey level; what is flat and darker is no empty paper but a failed picture
BLACK = 40  # grey level up to which a flat border may be padding
STROKE = 4  # grey levels by which a stroke stands out of the paper around it, at least
SPECK = 8  # pixels of a stroke, at least, in a line of 64 pixels' height
WINDOW = 31  # pixels of a line of 64 pixels' height, most of which are paper
BLANK_CONFIDENCE = 0.999  # of the empty answer for flat paper: found by a rule, so never certain
EXIF_TURNS = {  # orientation -> (transpose, flip of cv2 or None)
    2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1), 8: (True, 0)
}  # fmt: skip

Image = NDArray[np.uint8]  # (h, w) grey


def read_image(path: Path, *, strict: bool = False, page: bool = False, turned: bool = True) -> Image:
    """Grey image of a file, see `decode`; raises NetchuError when it is missing or no image.

    Of a file with several pages the first is read, with a warning, or with `strict` an error.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a null byte in the name is a ValueError
        raise NetchuError(f"{path}: image cannot be read ({getattr(error, 'strerror', error)})") from error
    pages = decode(data, str(path), page=page, turned=turned)
    if len(pages) > 1:
        says = f"{path}: holds {len(pages)} pages, of which only the first is read; save each as a file of its own"
        if strict:
            raise NetchuError(says)
        warnings.warn(says, stacklevel=2)
    return pages[0]


def decode(data: bytes, name: str, *, page: bool = False, turned: bool = True) -> list[Image]:
    """The pages of an image file, each on paper; a JPEG, PNG and the like has one.

    `page`: of whole sheets, whose padding stays, so that positions are those of the file. `turned`: by EXIF. Formats
    that OpenCV lacks are read by Pillow where it is installed. Raises NetchuError, beginning with `name`, for no image.
    """
    if not data:
        raise NetchuError(f"{name}: is empty (0 bytes); replace or remove the file")
    heif = data[4:8] == b"ftyp"
    avif = heif and data[8:12] in (b"avif", b"avis")
    pages = (_decode_by_pillow(data, turned) if avif else []) or _decode(data, turned)  # OpenCV does not turn an AVIF
    flat = all(image.min() == image.max() for image in pages)  # perhaps OpenCV has dropped a transparency
    if flat and not avif:
        pages = _decode_by_pillow(data, turned) or pages
    if not pages:
        lacks = heif and not avif and find_spec("pillow_heif") is None
        remedy = "pip install pillow-heif, or save it as JPEG" if lacks else "replace or remove the file"
        raise NetchuError(f"{name}: is not an image that can be decoded; {remedy}")
    return [on_paper(image, page=page) for image in pages]


def _decode(data: bytes, turned: bool) -> list[Image]:
    """Grey pages as OpenCV decodes them; none when it cannot."""
    flags = cv2.IMREAD_GRAYSCALE | (0 if turned else cv2.IMREAD_IGNORE_ORIENTATION)
    buffer = np.frombuffer(data, np.uint8)
    try:
        if data.startswith(b"\xff\xd8") and (grey := cv2.imdecode(buffer, flags)) is not None and not _is_flat(grey):
            return [grey]  # type: ignore[list-item]
        raw = [image for image in cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED)[1] if image is not None]
        if len(raw) == 1 and raw[0].dtype == np.uint8 and (raw[0].ndim == 2 or raw[0].shape[2] == 3):
            grey = cv2.imdecode(buffer, flags)
            if grey is not None and (raw[0].ndim == 2 or not _is_flat(grey)):
                return [grey]  # type: ignore[list-item]
        turn = _exif_turn(buffer) if turned and raw else 1
    except cv2.error:
        return []
    pages: list[Image] = []
    for image in map(to_grey, raw):
        transpose, flip = EXIF_TURNS.get(turn, (False, None))
        image = image.T if transpose else image
        pages.append(np.ascontiguousarray(image if flip is None else cv2.flip(image, flip), dtype=np.uint8))
    return pages


def _exif_turn(buffer: NDArray[np.uint8]) -> int:
    """EXIF's orientation (1 to 8) of a file whose pixels OpenCV has left as they are stored."""
    _, kinds, blobs = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
    for kind, blob in zip(kinds, blobs, strict=True):
        data = blob.tobytes()
        order = "<" if data[:2] == b"II" else ">"
        if kind == cv2.IMAGE_METADATA_EXIF and len(data) >= 10:
            start = struct.unpack_from(f"{order}I", data, 4)[0]
            for at in range(start + 2, len(data) - 11, 12):
                tag, _, _, value = struct.unpack_from(f"{order}HHIH", data, at)
                if tag == 0x0112:
                    return int(value)
    return 1


def _decode_by_pillow(data: bytes, turned: bool) -> list[Image]:
    """Grey pages as Pillow decodes them; none when it cannot or is not installed."""
    try:
        from PIL import Image as Pillow
        from PIL import ImageSequence
    except ImportError:
        return []
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    try:
        with Pillow.open(io.BytesIO(data)) as file:
            frames = [turn_by_exif(frame) if turned else frame.copy() for frame in ImageSequence.Iterator(file)]
        return [to_grey(pillow_array(frame)) for frame in frames]
    except Exception:  # decoders raise nearly any type on a damaged file
        return []


def turn_by_exif(image: Any) -> Any:
    """A Pillow image as its EXIF says that it is looked at, or as it is where its EXIF is damaged."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, struct.error):
        return image


def pillow_array(image: Any) -> NDArray[Any]:
    """A Pillow image of any mode as `to_grey` takes it: BGRA (h, w, 4), or grey (h, w) of more than 8 bits, which
    Pillow would cut off at 255. Raises what its decoder raises for a damaged file."""
    if image.mode in ("F", "I") or image.mode.startswith("I;"):
        return np.asarray(image)
    return np.asarray(image.convert("RGBA"))[..., [2, 1, 0, 3]]


def to_grey(image: NDArray[Any]) -> Image:
    """Grey of an array in any number format: (h, w), or (h, w, channels) of 1 grey, 2 grey and opacity, 3 BGR, 4 BGRA.

    Transparent is paper: white, or black below light ink. Colours of equal lightness are told apart by a channel.
    """
    image = image if image.ndim == 3 else image[..., None]
    channels = image.shape[2]
    opaque = channels in (1, 3)
    colours = _to_bytes(image if opaque else image[..., :-1])
    ways = [colours]
    opacity = colours[..., :1] if opaque else _to_bytes(image[..., -1:])
    if not opaque and opacity.max() > 0 and opacity.min() < 255:
        share = opacity.astype(np.float32) / 255
        ways = [np.rint(colours * share + under * (1 - share)).astype(np.uint8) for under in (255, 0)]
    greys = [cv2.cvtColor(way, cv2.COLOR_BGR2GRAY) if way.shape[2] == 3 else way[..., 0] for way in ways]
    greys += [way[..., channel] for way in ways for channel in range(way.shape[2])]
    clearest = max(greys, key=np.ptp)  # of the faintest ink: where it stands out most, if at all
    return np.ascontiguousarray(next((grey for grey in greys if not _is_flat(grey)), clearest))


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers of any format as 0 to 255: by as many bits as are used, or stretched where only few levels are."""
    if values.dtype == np.uint8:
        return values
    numbers = values.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    numbers = np.nan_to_num(numbers, posinf=finite.max(initial=0), neginf=finite.min(initial=0))
    low, high = float(numbers.min()), float(numbers.max())
    full = 1.0 if high <= 1 else 2.0 ** max(8, int(np.ceil(np.log2(high + 1))))
    scaled = np.floor(numbers * (255 if full == 1 else 256 / full))
    if low < 0 or scaled.max() - scaled.min() < FAINTEST:
        scaled = (numbers - low) * (255 / max(high - low, 1e-9))
    return scaled.clip(0, 255).astype(np.uint8)


def _is_flat(grey: NDArray[Any]) -> bool:
    """Whether an image has hardly more than one grey level, counting every pixel."""
    return int(grey.max()) - int(grey.min()) < FAINTEST


def on_paper(image: Image, *, page: bool = False) -> Image:
    """Dark writing on lighter paper: the same image (h, w) where it is that already, as nearly every line is.

    Flat black borders are cut off, unless it is a `page`; light writing is turned over; faint writing is stretched.
    """
    if not page:
        image = _without_padding(image)
    dark, middle, light = _levels(image, WRITTEN_SHARE, 0.5, 1 - WRITTEN_SHARE)
    if middle - dark >= max(FAINTEST, light - middle):
        return image
    darker, lighter = _strokes(image)
    if lighter > darker:
        image = 255 - image
        dark, middle, light = 255 - light, 255 - middle, 255 - dark
    if middle - dark < FAINTEST and light - dark < 2 * FAINTEST and max(darker, lighter) >= SPECK:
        faintest = int(image.min()) if light - dark < FAINTEST else dark
        factor = max(1.0, CLEAR / max(middle - faintest, 1))
        image = (
            np.rint((image.astype(np.float32) - middle) * factor + max(middle, 255 - FAINTEST))
            .clip(0, 255)
            .astype(np.uint8)
        )
    return image


def is_blank(image: Image) -> bool:
    """Whether an image (h, w), on paper, shows flat, light paper and nothing else."""
    dark, middle, light = _levels(image, WRITTEN_SHARE, 0.5, 1 - WRITTEN_SHARE)
    if max(middle - dark, light - middle) >= FAINTEST or middle < DARKEST_PAPER:
        return False
    return max(_strokes(image)) < SPECK


def _levels(image: Image, *shares: float) -> list[int]:
    """The darkest grey level up to which at least each share of the pixels are."""
    counts = cv2.calcHist([image], [0], None, [256], [0, 256]).ravel().astype(np.int64).cumsum()
    return [int(level) for level in np.searchsorted(counts, np.multiply(shares, counts[-1]))]


def _strokes(image: Image) -> tuple[float, float]:
    """Sizes of what is (darker, lighter) than the paper around it: pixels in strokes of at least SPECK pixels, in a
    line of 64 pixels' height, weighted by how far they stand out."""
    height, width = image.shape
    scale = max(64 / min(height, width), min(1, 1000 / max(height, width)))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)  # type: ignore[assignment]
    smooth = cv2.GaussianBlur(image, (3, 3), 0)
    apart = smooth.astype(np.float32) - cv2.medianBlur(smooth, WINDOW)
    least = max(STROKE, 5 * float(np.median(np.abs(apart))))
    window = np.ones((WINDOW, WINDOW), np.uint8)  # the edge of a sheet or a shadow is wider, so no stroke
    darker = np.minimum(-apart, cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, window))
    lighter = np.minimum(apart, cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, window))
    sizes = []
    for side in (darker, lighter):
        _, labels, stats, _ = cv2.connectedComponentsWithStats((side >= least).astype(np.uint8), connectivity=8)
        strokes = stats[:, cv2.CC_STAT_AREA] >= SPECK
        strokes[0] = False
        sizes.append(float(side[strokes[labels]].sum()) / least)
    return sizes[0], sizes[1]


def cut_polygon(image: Image, corners: Sequence[Sequence[float]] | NDArray[Any]) -> Image:
    """The quadrilateral `corners` (4, 2), clockwise from the upper left, of a grey image (h, w), drawn upright."""
    points = np.asarray(corners)
    sides = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1)  # top, right, bottom, left
    width, height = (max(1, round(float(max(sides[i], sides[i + 2])))) for i in (0, 1))
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(points.astype(np.float32), target)
    flat = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, dtype=np.uint8)


def _without_padding(image: Image) -> Image:
    """A line without the flat black borders that a square canvas or a scanner put around it.

    What begins behind a border must be paper over most of its length: the margin of a negative stays.
    """
    for _ in range(4):  # each side in turn, by turning the image
        image = np.rot90(image)
        if image[0].max() <= BLACK:
            rows = np.percentile(image, 90, axis=1) <= BLACK
            start = len(rows) if rows.all() else int(rows.argmin())
            behind = np.median(image[start + 2 : start + 6]) if start + 2 < len(rows) else 0
            low, high = np.percentile(image[:start], (1, 99))
            flat = start >= min(image.shape) / 4 and high - low <= 8
            if flat and behind >= BLACK + 2 * FAINTEST:
                blurred = sum(np.median(row) < behind - FAINTEST for row in image[start : start + 2])
                image = image[start + blurred :]
    return np.ascontiguousarray(image)

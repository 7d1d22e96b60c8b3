"""Cut a photographed page or form into line images: netchu cut-page PAGE.jpg [--out DIR] [--draw FILE.png].

Vertical ruled lines part columns, horizontal ones part rows; between them, and on a page without any, rows of ink are
found by projection. `find_lines` returns the lines in reading order, for the command and for the service alike.
"""

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.preprocess import Image, read_image
from netchu.reading.page_photo import Mask, Page, letter_height, straighten

MIN_COLUMN = 0.06  # of the page's width; narrower columns hold no line
SHORTEST_SIDE = 32  # pixels; nothing below it is a page
LONGEST_SIDE = 2400  # pixels; larger photographs are cut by their reduction


@dataclass(frozen=True, slots=True)
class PageLine:
    """A line cut from a page: its grey image (h, w), level, and its corners in the photograph.

    Corners are (4, 2) float64 x, y in pixels: top left, top right, bottom right, bottom left.
    """

    image: Image
    corners: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Box:
    """Rows and columns of a straight page, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


def find_lines(photo: Image) -> list[PageLine]:
    """Lines of a grey page (h, w) in reading order: from top to bottom, and in a row from left to right.

    An empty list means that no writing was found. Turned pages (up to 12 degrees) and shaded ones are put right first.
    """
    scale = min(1.0, LONGEST_SIDE / max(photo.shape))
    if scale * min(photo.shape) < SHORTEST_SIDE:
        return []
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else photo
    page = straighten(np.asarray(small, dtype=np.uint8))
    unit = letter_height(page.ink)
    if unit == 0:
        return []
    boxes = [box for left, right in columns(page) for box in _column_lines(page, left, right, unit)]
    return [_cut(page, box, scale) for box in reading_order(boxes)]


def columns(page: Page) -> list[tuple[int, int]]:
    """Left and right end of each column; a vertical rule counts when it is as long as a quarter of the page."""
    height, width = page.ink.shape
    lengths = np.convolve(page.down.sum(axis=0), np.ones(9), mode="same")
    rules = [(0, 0), *_spans(lengths > 0.25 * height), (width, width)]
    return [(a, b) for (_, a), (b, _) in pairwise(rules) if b - a >= MIN_COLUMN * width]


def _column_lines(page: Page, left: int, right: int, unit: int) -> list[Box]:
    """Lines of one column, cut at its horizontal rules first."""
    covered = np.convolve(page.across[:, left:right].sum(axis=1), np.ones(9), mode="same")
    rules = [0, *_middles(covered > 0.4 * (right - left)), page.ink.shape[0]]
    boxes = []
    for top, bottom in pairwise(rules):
        for first, last in rows_of_ink(page.ink[top:bottom, left:right], unit):
            box = _fit(page.ink, Box(top + first, top + last, left, right), unit)
            if box is not None:
                boxes.append(box)
    return boxes


def rows_of_ink(ink: Mask, unit: int) -> list[tuple[int, int]]:
    """First and last row (excluded) of each line of writing in a region, from its ink a row."""
    if len(ink) < unit // 2:
        return []
    width = max(3, unit // 2) | 1
    window = np.hanning(width + 2)
    profile = np.convolve(ink.sum(axis=1), window[1:-1] / window.sum(), mode="same")
    written = profile[profile > 0]
    if not len(written):
        return []
    spans = _spans(profile > min(0.25 * float(np.percentile(written, 80)), 0.3 * unit))  # a short line counts too
    spans = [part for span in spans for part in _halved(profile, span, unit)]
    body = [span for span in spans if span[1] - span[0] >= 0.5 * unit]
    for start, end in spans:  # marks above and below the letters belong to the nearest line
        near = min(body, key=lambda s: max(s[0] - end, start - s[1]), default=None)
        if end - start < 0.5 * unit and near is not None and max(near[0] - end, start - near[1]) < 0.4 * unit:
            body[body.index(near)] = (min(start, near[0]), max(end, near[1]))
    return body


def _halved(profile: NDArray[np.float64], span: tuple[int, int], unit: int) -> list[tuple[int, int]]:
    """A span, or its parts when it is so high that two lines touch in it: cut where it holds least ink."""
    start, end = span
    if end - start < 2.6 * unit:
        return [span]
    inner = profile[start + unit : end - unit]
    cut = start + unit + int(inner.argmin())
    if profile[cut] > 0.6 * min(profile[start:cut].max(), profile[cut:end].max()):
        return [span]
    return [*_halved(profile, (start, cut), unit), *_halved(profile, (cut, end), unit)]


def _fit(ink: Mask, rows: Box, unit: int) -> Box | None:
    """The box around the writing of some rows: strokes may stand out of them; None for a speck."""
    reach = round(0.7 * unit)
    top, bottom = max(0, rows.top - reach), min(len(ink), rows.bottom + reach)
    region = ink[top:bottom, rows.left : rows.right].astype(np.uint8)
    _, _, stats, centres = cv2.connectedComponentsWithStats(region, connectivity=8)
    middle = centres[1:, 1] + top
    own = stats[1:][(middle >= rows.top) & (middle < rows.bottom) & (stats[1:, cv2.CC_STAT_AREA] > 3)]
    if not len(own) or own[:, cv2.CC_STAT_HEIGHT].max() < 0.4 * unit:
        return None
    x = own[:, cv2.CC_STAT_LEFT]
    y = own[:, cv2.CC_STAT_TOP]
    left, right = int(x.min()), int((x + own[:, cv2.CC_STAT_WIDTH]).max())
    if right - left < unit:
        return None
    margin = round(0.25 * unit)
    return Box(
        top=max(0, top + int(y.min()) - margin),
        bottom=min(len(ink), top + int((y + own[:, cv2.CC_STAT_HEIGHT]).max()) + margin),
        left=max(rows.left, rows.left + left - 2 * margin),
        right=min(rows.right, rows.left + right + 2 * margin),
    )


def reading_order(boxes: list[Box]) -> list[Box]:
    """Boxes from top to bottom; boxes whose middle lies within another one's height are of one row."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda b: b.top + b.bottom):
        if rows and (box.top + box.bottom) / 2 < rows[-1][0].bottom:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda b: b.left)]


def _cut(page: Page, box: Box, scale: float) -> PageLine:
    corners = np.array(
        [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)], dtype=np.float64
    )
    back = corners @ page.back[:, :2].T + page.back[:, 2]
    return PageLine(page.image[box.top : box.bottom, box.left : box.right].copy(), back[:, :2] / back[:, 2:] / scale)


def _spans(wanted: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end (excluded) of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, wanted, False].astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _middles(wanted: NDArray[np.bool_]) -> list[int]:
    return [(a + b) // 2 for a, b in _spans(wanted)]


def main() -> None:
    """Cut a page; write the lines and, when asked for, the page with its lines drawn in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path, metavar="PAGE.jpg")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: a folder beside the page, PAGE_lines")
    parser.add_argument("--draw", type=Path, metavar="FILE.png", help="the page with the lines found")
    args = parser.parse_args()
    folder = args.out or args.page.with_name(f"{args.page.stem}_lines")
    if folder.is_dir() and (older := sorted(folder.glob("[0-9][0-9][0-9].png"))):
        raise NetchuError(f"{older[0]}: is a line of an earlier page; remove it and its like, or choose another --out")
    photo = read_image(args.page)
    lines = find_lines(photo)
    if not lines:
        raise NetchuError(f"{args.page}: no writing was found; photograph the page closer, or in better light")
    for number, line in enumerate(lines):
        save_picture(folder / f"{number:03d}.png", line.image)
    if args.draw:
        drawn = cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR)
        cv2.polylines(drawn, [np.round(line.corners).astype(np.int32) for line in lines], True, (30, 90, 220), 2)
        save_picture(args.draw, np.asarray(drawn, dtype=np.uint8))
    print(f"{folder}: {len(lines)} lines")


def save_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a PNG atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())

"""What of an uploaded picture is a line by itself, and what a page of lines; and lines cut by hand."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netchu.core.images import Image, cut_polygon, on_paper
from netchu.reading.pages import PageLine
from netchu.serve.uploads import RefusalError, Upload, content_id

STRIP = 4.0  # a picture that is so many times as wide as high is a line by itself
LOWEST_PAGE = 100  # pixels; what is lower is a line
LONE_LINE = 0.4  # share of the picture's height that its only line covers when the picture is of that line
MOST_BOXES = 256  # of a request
MOST_AREA = 64  # times the picture's
LEAST_SIDE = 4  # pixels of a box
SHEET_ID = 16  # characters
SPLITS = ("false", "true", "auto")  # whether pictures are cut into lines


FindLines = Callable[[Image], Sequence[PageLine]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page: its file's name, its number there (from 1 on), what tells it from pages of files of the same name, its
    picture, and whether browsers can show its file."""

    name: str
    number: int
    id: str
    image: Image
    shown: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A line to read: its image, its file's name, and where it was cut from a sheet."""

    image: Image
    name: str
    sheet: Sheet | None = None
    corners: list[list[float]] | None = None

    def place(self) -> dict[str, Any] | None:
        """Where it stands on its page, JSON-ready."""
        if self.sheet is None:
            return None
        height, width = self.sheet.image.shape
        about = {"number": self.sheet.number, "sheet": self.sheet.id}
        return about | {"size": [width, height], "corners": self.corners}


def take_apart(
    upload: Upload,
    name: str,
    split: str,
    boxes: list[NDArray[np.float64]] | None,
    find_lines: FindLines,
    known: tuple[int, str] | None = None,
) -> tuple[list[Sheet], list[Piece]]:
    """The sheets and the lines of an upload. `split`: of SPLITS; `boxes`: corners of the lines that are wanted of a
    picture of one page, instead of those that are found; `known`: number and id of that page, where the picture was
    made of it."""
    sheets: list[Sheet] = []
    pieces: list[Piece] = []
    for number, image in enumerate(upload.pages, 1):
        if boxes is not None:
            cut = [(cut_polygon(image, box.astype(np.float32)), box) for box in boxes]
        elif split == "false" or (split == "auto" and not upload.is_document and is_strip(image)):
            pieces.append(Piece(image, name))
            continue
        else:
            found = find_lines(image)
            if split == "auto" and not upload.is_document and is_lone(image, found):
                pieces.append(Piece(image, name))
                continue
            cut = [(line.image, line.corners) for line in found]
        sheet = Sheet(name, *(known or (number, content_id(image)[:SHEET_ID])), image, upload.shown)
        sheets.append(sheet)
        # each on paper by itself, as it is decoded when it comes back with its text: by its pixels it is known again
        pieces += [Piece(on_paper(line, page=True), name, sheet, _rounded(corners)) for line, corners in cut]
    return sheets, pieces


def is_strip(image: Image) -> bool:
    """Whether a picture (h, w) has the shape of a single line."""
    height, width = image.shape
    return bool(height < LOWEST_PAGE or width >= STRIP * height)


def is_lone(image: Image, found: Sequence[PageLine]) -> bool:
    """Whether the only line found on a picture fills it."""
    return len(found) == 1 and bool(np.ptp(found[0].corners[:, 1]) > LONE_LINE * image.shape[0])


def parse_boxes(text: str, upload: Upload) -> list[NDArray[np.float64]]:
    """Corners of lines on a picture, from the JSON of a request: [[[x, y], [x, y], [x, y], [x, y]], ...], from the top
    left on and clockwise; what lies outside of the picture is moved to its edge. Raises RefusalError (422) for anything
    else."""
    if len(upload.pages) != 1:
        raise RefusalError(422, "boxes: send a picture of one page with them")
    height, width = upload.pages[0].shape
    said = f"boxes: expected a list of up to {MOST_BOXES} lines of four [x, y]"
    try:
        boxes = np.array(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise RefusalError(422, said) from None
    sound = boxes.ndim == 3 and boxes.shape[1:] == (4, 2) and 0 < len(boxes) <= MOST_BOXES
    if not sound or not np.isfinite(boxes).all():
        raise RefusalError(422, said)
    boxes = np.clip(boxes, 0, (width, height))
    sides = np.linalg.norm(boxes - np.roll(boxes, -1, axis=1), axis=2)
    if sides.min() < LEAST_SIDE:
        raise RefusalError(422, f"boxes: a side of a line is shorter than {LEAST_SIDE} pixels")
    if (sides.max(axis=1) ** 2).sum() > MOST_AREA * max(width, height) ** 2:
        raise RefusalError(422, "boxes: together they are many times as large as the picture")
    return list(boxes)


def parse_sheet(text: str) -> tuple[int, str]:
    """Number and id of a page, from the JSON of a request, as an answer told of it. Raises RefusalError (422) for
    anything else."""
    try:
        about = json.loads(text)
        number, key = about["number"], about["id"]
        if type(number) is int and 1 <= number < 10_000 and re.fullmatch(f"[0-9a-f]{{{SHEET_ID}}}", key):
            return number, key
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise RefusalError(422, "sheet: expected a page of an answer, with its number and id")


def _rounded(corners: NDArray[np.float64]) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in corners]

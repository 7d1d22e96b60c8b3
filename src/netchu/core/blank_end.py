"""Paper behind the writing: many a form's field is half empty, and a network takes as long for it as for letters."""

import numpy as np

from netchu.core.images import Image
from netchu.core.strokes import HEIGHT, Mask, Strokes, find_strokes

GAP = 4  # columns between two groups of strokes
NARROW, TALL = 8, 0.9  # columns and share of the height: such a group is an upright rule
EDGE = 10  # columns: a group that wide at the image's end is the sheet's edge
NEIGHBOUR = 5  # rows at the top or bottom: what stands in them alone belongs to another line
MARGIN = 32  # columns of paper that stay behind the writing
END = 48  # columns that stay at the image's end: what a network sees there tells it what kind of form it reads


def shorten_blank_end(image: Image, found: Strokes | None = None) -> Image:
    """The line (h, w), dark on paper, with little paper behind its writing: (h, w') with w' <= w.

    One height of it stays, and the last one and a half of the image. Printed rules, the sheet's edge and bits of the
    lines above and below are no writing where they stand alone, farther than a height from the last letter. What cannot
    be told from writing stays. `found`: the line's strokes, where they are known already.
    """
    height, width = image.shape
    ink, strokes = found or find_strokes(image)
    columns = np.flatnonzero(strokes.any(axis=0))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > GAP) + 1) if columns.size else []
    for group in reversed(groups):
        first, end = int(group[0]), int(group[-1]) + 1
        if not _is_foreign(ink[:, first:end], strokes[:, first:end], at_end=end > strokes.shape[1] - GAP):
            start, rest = (round(columns * height / HEIGHT) for columns in (end + MARGIN, END))
            return np.hstack([image[:, :start], image[:, width - rest :]]) if start + rest < width else image
    return image


def _is_foreign(ink: Image, strokes: Mask, *, at_end: bool) -> bool:
    """Whether a group of columns (HEIGHT, w) is an upright rule, the sheet's edge or a bit of another line."""
    rows, width = np.flatnonzero(strokes.any(axis=1)), ink.shape[1]
    rule = width <= NARROW and ink.any(axis=1).mean() >= TALL
    return bool(rule or (at_end and width <= EDGE) or rows[-1] < NEIGHBOUR or rows[0] > HEIGHT - NEIGHBOUR)

"""Paper behind the writing: many a form's field is half empty, and a network takes as long for it as for letters."""

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.images import Image

HEIGHT = 32  # pixels: the line is looked at that high, and all lengths below are of it
STROKE = 9  # pixels: wider dark spots are shadows
LEAST = 6  # grey levels by which a stroke at least is darker than the paper around it
SHARE = 0.2  # of the darkest strokes' difference, that at least
RULE = 33  # pixels: a longer level stroke is a printed rule
SPECK = 3  # pixels of the smallest stroke that counts
GAP = 4  # columns between two groups of strokes
NARROW, TALL = 8, 0.9  # columns and share of the height: such a group is an upright rule
EDGE = 10  # columns: a group that wide at the image's end is the sheet's edge
NEIGHBOUR = 5  # rows at the top or bottom: what stands in them alone belongs to another line
MARGIN = 32  # columns of paper that stay behind the writing
END = 48  # columns that stay at the image's end: what a network sees there tells it what kind of form it reads


def shorten_blank_end(image: Image) -> Image:
    """The line (h, w), dark on paper, with little paper behind its writing: (h, w') with w' <= w.

    One height of it stays, and the last one and a half of the image. Printed rules, the sheet's edge and bits of the
    lines above and below are no writing where they stand alone, farther than a height from the last letter. What cannot
    be told from writing stays.
    """
    height, width = image.shape
    size = max(1, round(width * HEIGHT / height)), HEIGHT
    method = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR
    dark = cv2.morphologyEx(cv2.resize(image, size, interpolation=method), cv2.MORPH_BLACKHAT, _box(STROKE, STROKE))
    least = max(LEAST, 3 * float(np.median(dark)), SHARE * float(np.percentile(dark, 99.5)))
    ink = (dark >= least).astype(np.uint8)
    rules = cv2.morphologyEx(cv2.dilate(ink, _box(3, 1)), cv2.MORPH_OPEN, _box(1, RULE))
    strokes = np.where(cv2.dilate(rules, _box(3, 3)) > 0, 0, ink)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
    writing = (stats[:, cv2.CC_STAT_AREA] >= SPECK) & (np.arange(len(stats)) > 0)
    strokes = writing[labels]
    columns = np.flatnonzero(strokes.any(axis=0))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > GAP) + 1) if columns.size else []
    for group in reversed(groups):
        first, end = int(group[0]), int(group[-1]) + 1
        if not _is_foreign(ink[:, first:end], strokes[:, first:end], at_end=end > size[0] - GAP):
            start, rest = (round(columns * height / HEIGHT) for columns in (end + MARGIN, END))
            return np.hstack([image[:, :start], image[:, width - rest :]]) if start + rest < width else image
    return image


def _is_foreign(ink: Image, strokes: NDArray[np.bool_], *, at_end: bool) -> bool:
    """Whether a group of columns (HEIGHT, w) is an upright rule, the sheet's edge or a bit of another line."""
    rows, width = np.flatnonzero(strokes.any(axis=1)), ink.shape[1]
    rule = width <= NARROW and ink.any(axis=1).mean() >= TALL
    return bool(rule or (at_end and width <= EDGE) or rows[-1] < NEIGHBOUR or rows[0] > HEIGHT - NEIGHBOUR)


def _box(rows: int, columns: int) -> Image:
    """A structuring element of ones (rows, columns)."""
    return np.ones((rows, columns), np.uint8)

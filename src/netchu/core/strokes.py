"""Where a line has been written on: strokes apart from shadows, printed rules and specks."""

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.images import Image

HEIGHT = 32  # pixels: lines are looked at that high
STROKE = 9  # pixels: wider dark spots are shadows
LEAST = 6  # grey levels by which a stroke at least is darker than the paper around it
SHARE = 0.2  # of the darkest strokes' difference, that at least
RULE = 33  # pixels: a longer level stroke is a printed rule
SPECK = 3  # pixels of the smallest stroke that counts

Mask = NDArray[np.bool_]  # (HEIGHT, w')
Strokes = tuple[Image, Mask]


def find_strokes(image: Image) -> Strokes:
    """All that is dark in a line (h, w) as 1, and which of it is writing: (HEIGHT, w') each, the line's aspect kept."""
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
    return ink, writing[labels]


def _box(rows: int, columns: int) -> Image:
    """A structuring element of ones (rows, columns)."""
    return np.ones((rows, columns), np.uint8)

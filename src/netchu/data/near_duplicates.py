"""Near-identical line images: the same writing scaled, recompressed, re-lit or cut a little differently.

A signature is the ink of a line, less ruled lines, on a grid of 8 x 128 cells; two lines are near-duplicates when the
correlation of their signatures is at least ALIKE.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from netchu.core.images import Image

ALIKE = 0.92  # correlation; different lines of one writer on one form stay below it
HEIGHT = 32  # pixels at which ink is looked for
GRID = (128, 8)  # columns, rows
STROKE = np.ones((9, 9), np.uint8)  # wider dark areas are paper, not ink
RULES = (np.ones((1, 31), np.uint8), np.ones((21, 1), np.uint8))  # longer straight runs are ruled lines
BLOCK = 2048  # signatures compared at once

Signature = NDArray[np.float32]  # (1024,) of length 1


def sign(image: Image) -> Signature:
    """Signature of a grey image (h, w)."""
    width = max(2 * HEIGHT, round(image.shape[1] * HEIGHT / image.shape[0]))
    line = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    ink = cv2.morphologyEx(line, cv2.MORPH_BLACKHAT, STROKE)
    ruled = np.maximum(*(cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel) for kernel in RULES))
    cells = cv2.GaussianBlur(
        cv2.resize((ink - ruled).astype(np.float32), GRID, interpolation=cv2.INTER_AREA), (3, 3), 0
    )
    cells -= cells.mean(axis=1, keepdims=True)
    cells = np.sqrt(cells - cells.min())  # faint strokes count nearly as much as strong ones
    cells -= cells.mean(axis=1, keepdims=True)
    flat = cells.ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-6), dtype=np.float32)


def find_near_duplicates(signatures: Sequence[Signature]) -> Iterator[tuple[int, int, float]]:
    """Every pair (i, j, correlation) with i < j whose correlation is at least ALIKE."""
    if len(signatures) < 2:
        return
    stacked = np.stack(signatures)
    starts = range(0, len(stacked), BLOCK)
    for start in tqdm(starts, "comparing lines", unit=f" x {BLOCK} lines", leave=False):
        for other in range(start, len(stacked), BLOCK):
            likeness = stacked[start : start + BLOCK] @ stacked[other : other + BLOCK].T
            for i, j in zip(*np.nonzero(likeness >= ALIKE), strict=True):
                if start + i < other + j:
                    yield int(start + i), int(other + j), float(likeness[i, j])

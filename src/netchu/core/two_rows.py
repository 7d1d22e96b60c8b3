"""Two rows of writing in one line's image, as people write who run out of room in a form's field."""

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.images import Image
from netchu.core.strokes import HEIGHT, Mask, Strokes, find_strokes

LETTER = 7, 20  # pixels of HEIGHT: lower strokes are marks, where higher ones are, a line fills the image
PARTED = 0.75  # width of the letters that are wholly in one half or the other, of that of all letters
MIDDLE = 10, 23  # rows between which the border of two rows runs
BENT = 0.4  # pixels of ink that a border rather crosses than to move by one row
STRAIGHT = 7  # rows by which a border rises or falls at most
TOUCHING = 0.02  # share of the columns in which a stroke may reach from one row into the other
ROW = 1.2  # heights of the image that the letters of each row are wide at least, all together
ALIKE = 0.25  # width of the letters of the one row, of the other's, at least
ABREAST = 0.5  # share of the shorter row's columns under or over the other row
GAP = 3  # columns between letters of one word
UPRIGHT = 0.85  # share of the height that a column of ink fills in an upright rule
SPACE = 24  # columns of paper between the two rows once they stand side by side
SIZE = 2.1  # height of the joined line, in letters


def join_rows(image: Image, found: Strokes | None = None) -> Image:
    """The line (h, w), dark on paper; where two rows are written in it, the second one stands behind the first one.

    Two rows are told by their letters, which are small, as many above as below, and parted by a border that hardly any
    stroke crosses. All other images stay as they are. `found`: its strokes, where they are known already.
    """
    ink, strokes = found or find_strokes(image)
    upright = cv2.dilate((ink.mean(axis=0) >= UPRIGHT).astype(np.uint8)[None], np.ones((1, 5), np.uint8))[0]
    strokes = strokes & (upright == 0)
    border = _border(strokes)
    if border is None:
        return image
    height, width = image.shape
    scale = height / HEIGHT
    edge = (border[np.minimum((np.arange(width) / scale).astype(int), len(border) - 1)] + 0.5) * scale
    paper = cv2.blur(np.percentile(image, 75, axis=0, keepdims=True), (2 * round(height / 4) + 1, 1))
    upper = np.arange(HEIGHT)[:, None] < border
    above = np.arange(height)[:, None] < edge
    rows = []
    for mine, shown in ((strokes & upper, above), (strokes & ~upper, ~above)):
        left, top, wide, tall = _letters(mine)
        centre, letter = (float(np.percentile(x, 50, method="nearest")) for x in (top + tall / 2, tall))
        mid = (top <= centre) & (centre <= top + tall)
        far = ~mid & (left > (left + wide)[mid].max() + HEIGHT)  # what hangs into the field from the line above
        first = left.min() - SPACE / 2
        end = (left + wide)[~far].max() + SPACE / 2 if shown is above else width / scale  # it tells the form
        rows.append((np.where(shown, image, paper).astype(np.uint8), centre, letter, first, end))
    size = round(max(SIZE * letter for _, _, letter, *_ in rows) * scale)
    return np.hstack(
        [_cut(row, centre * scale, size, first * scale, end * scale) for row, centre, _, first, end in rows]
    )


def _cut(image: Image, centre: float, size: int, first: float, end: float) -> Image:
    """`size` rows around `centre`, the columns from `first` to `end`; there is paper above and below the image."""
    height, width = image.shape
    top, left, right = round(centre - size / 2), max(0, round(first)), min(width, round(end))
    piece = image[max(0, top) : min(height, top + size), left:right]
    sides = max(0, -top), max(0, top + size - height), 0, 0
    return cv2.copyMakeBorder(piece, *sides, cv2.BORDER_CONSTANT, value=float(np.median(piece)))  # type: ignore[return-value]


def _border(strokes: Mask) -> NDArray[np.int_] | None:
    """The row between two rows of writing in each column (w',), or None where there are no two."""
    _, top, width, tall = _letters(strokes)
    upper, lower = top + tall <= LETTER[1], top >= HEIGHT - LETTER[1]
    if min(width[upper].sum(), width[lower].sum()) < ROW * HEIGHT or width[upper | lower].sum() < PARTED * width.sum():
        return None
    border = _least_crossed(strokes[MIDDLE[0] : MIDDLE[1]]) + MIDDLE[0]
    rows = np.arange(HEIGHT)[:, None]
    crossed = strokes[border, np.arange(len(border))].sum()
    if np.ptp(border) > STRAIGHT or crossed > TOUCHING * len(border):
        return None
    above, below = (_letter_columns(strokes & side) for side in (rows < border, rows > border))
    less, more = sorted((above.sum(), below.sum()))
    if less < ROW * HEIGHT or less < ALIKE * more:
        return None
    near_above, near_below = (np.convolve(columns, np.ones(2 * GAP + 1), "same") > 0 for columns in (above, below))
    abreast = (near_above & near_below).sum()
    return border if abreast >= ABREAST * min(near_above.sum(), near_below.sum()) else None


def _letters(strokes: Mask) -> NDArray[np.int_]:
    """Left, top, width and height of the strokes that are as high as a letter: (4, n)."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
    boxes = stats[1:, :4].T.astype(np.int_)
    return boxes[:, boxes[3] >= LETTER[0]]


def _letter_columns(strokes: Mask) -> NDArray[np.bool_]:
    """The columns (w',) that letters cover."""
    columns = np.zeros(strokes.shape[1], bool)
    for left, _, width, _ in _letters(strokes).T:
        columns[left : left + width] = True
    return columns


def _least_crossed(strokes: Mask) -> NDArray[np.int_]:
    """The row in each column (w',) of the way through (rows, w') that crosses least ink."""
    cost = strokes.T.astype(np.float64)
    count, rows = cost.shape
    back = np.zeros((count, rows), np.int_)
    total = cost[0].copy()
    inf = np.array([np.inf])
    for x in range(1, count):
        ways = np.stack([total, np.concatenate([inf, total[:-1]]) + BENT, np.concatenate([total[1:], inf]) + BENT])
        best = ways.argmin(axis=0)
        back[x] = np.arange(rows) + np.array([0, -1, 1])[best]
        total = cost[x] + ways[best, np.arange(rows)]
    way = [int(total.argmin())]
    for x in range(count - 1, 0, -1):
        way.append(int(back[x, way[-1]]))
    return np.array(way[::-1])

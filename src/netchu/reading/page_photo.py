"""A photographed page made ready for cutting: even light, straight rows, writing and ruled lines told apart.

Pages are grey uint8 (h, w), dark ink on lighter paper. `straighten` gives a Page whose masks are bool (h', w').
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.preprocess import Image

Mask = NDArray[np.bool_]  # (h, w)

FAINT = 0.06  # ink is at least this share darker than the paper around it, more where the paper is grainy
MAX_ANGLE = 12.0  # degrees that a page may be turned either way
RULE_SHARE = 0.12  # a ruled line is at least this share of the page's width or height long
THICK = 0.008  # and at most this share of the longer side thick
DESK = 0.8  # a desk is darker than this share of the paper beside it


@dataclass(frozen=True, slots=True)
class Page:
    """A straight page: `image` (h', w'), writing and ruled lines in it, and the way back to the photograph."""

    image: Image
    ink: Mask  # writing only
    across: Mask  # horizontal ruled lines
    down: Mask  # vertical ruled lines
    back: NDArray[np.float64]  # (3, 3): straight (x, y, 1) -> photographed (x, y, 1) times a number


def straighten(photo: Image) -> Page:
    """Cut a sheet out of the desk it lies on, turn it so that its rows lie level, and find ink and ruled lines."""
    sheet = find_sheet(photo)
    flat = np.eye(3)
    if sheet is not None:
        photo, flat = _flattened(photo, sheet)
    angle = find_angle(find_ink(photo))
    height, width = photo.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    sine, cosine = abs(turn[0, 1]), abs(turn[0, 0])
    size = round(width * cosine + height * sine), round(width * sine + height * cosine)
    turn[:, 2] = turn[:, 2] + (np.array(size) - (width, height)) / 2
    outside = cv2.warpAffine(np.full_like(photo, 255), turn, size, flags=cv2.INTER_NEAREST) < 128
    image = cv2.warpAffine(photo, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    edge = cv2.dilate(outside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    dark = find_ink(image) & ~edge  # type: ignore[arg-type]
    across, down = _long_strokes(dark, 0), _long_strokes(dark, 1)
    ink = dark & ~_grown(across | down, 2)
    back = np.linalg.inv(np.vstack([turn, [0, 0, 1]]) @ flat)
    return Page(np.asarray(image, dtype=np.uint8), ink, across, down, np.asarray(back, dtype=np.float64))


def find_sheet(photo: Image) -> NDArray[np.float32] | None:
    """Corners (4, 2) x, y of a bright sheet on a darker desk, clockwise from the top left; None when there is no desk.

    A shadow across the page is no edge: along every side that is not the picture's own, what lies just outside must be
    much darker than what lies just inside.
    """
    scale = 400 / max(photo.shape)
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, bright = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if not small[bright == 0].size or small[bright == 0].mean() > DESK * small[bright > 0].mean():
        return None
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(max(outlines, key=cv2.contourArea)) if outlines else np.zeros((0, 1, 2), np.int32)
    corners = cv2.approxPolyDP(hull, 0.03 * cv2.arcLength(hull, True), True)[:, 0] if len(hull) else hull[:, 0]
    if len(corners) != 4 or not 0.15 < cv2.contourArea(corners) / small.size < 0.97:
        return None
    middle = corners.mean(axis=0)
    limits = np.array(small.shape[::-1]) - 1
    edges = 0
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        points = a + np.linspace(0.1, 0.9, 15)[:, None] * (b - a)
        outward = np.array([b[1] - a[1], a[0] - b[0]]) / max(1.0, float(np.hypot(*(b - a))))
        outward = outward if outward @ (points.mean(axis=0) - middle) > 0 else -outward
        beyond = points + 6 * outward
        seen = ((beyond >= 0) & (beyond <= limits)).all(axis=1)
        if not seen.any():
            continue
        edges += 1
        inside = np.round(points - 6 * outward).astype(int).clip(0, limits)
        beyond = np.round(beyond[seen]).astype(int)
        if np.median(small[beyond[:, 1], beyond[:, 0]]) > DESK * np.median(small[inside[:, 1], inside[:, 0]]):
            return None
    if not edges:
        return None
    order = np.argsort(np.arctan2(*(corners - middle)[:, ::-1].T))  # clockwise, y pointing down, from the top left
    return (corners[order] / scale).astype(np.float32)  # type: ignore[no-any-return]


def _flattened(photo: Image, sheet: NDArray[np.float32]) -> tuple[Image, NDArray[np.float64]]:
    """(the sheet as a rectangle, the homography (3, 3) that made it so)."""
    sides = np.hypot(*(sheet - np.roll(sheet, -1, axis=0)).T)
    width, height = round(max(sides[0], sides[2])), round(max(sides[1], sides[3]))
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    way = cv2.getPerspectiveTransform(sheet, target)
    flat = cv2.warpPerspective(photo, way, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inner = max(2, round(0.008 * max(width, height)))  # the sheet's own edge would count as a ruled line
    edge = np.eye(3)
    edge[:2, 2] = -inner
    return np.asarray(flat[inner:-inner, inner:-inner], dtype=np.uint8), edge @ way


def find_ink(photo: Image) -> Mask:
    """Pixels darker than the paper around them, whatever shade lies on it, down to a pale pencil.

    A faint pixel counts when it is joined to one that is clearly dark, so grain does not.
    """
    small = max(1, min(photo.shape) // 300)
    reduced = cv2.resize(photo, None, fx=1 / small, fy=1 / small, interpolation=cv2.INTER_AREA)
    size = max(9, min(reduced.shape) // 12) | 1
    paper = cv2.morphologyEx(reduced, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    paper = cv2.GaussianBlur(paper, (0, 0), size / 3)
    paper = cv2.resize(paper, photo.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    smooth = cv2.GaussianBlur(photo, (3, 3), 0).astype(np.float32)
    darkness = 1 - smooth / np.maximum(paper, 1.0)
    sample = darkness[::4, ::4]
    usual = float(np.median(sample))
    grain = 1.5 * float(np.median(np.abs(sample - usual)))
    faint = max(FAINT, 5 * grain)
    weak = (darkness - usual > faint).astype(np.uint8)
    count, labels = cv2.connectedComponents(weak, connectivity=8)
    clear = np.bincount(labels[darkness - usual > 1.7 * faint], minlength=count) > 0
    clear[0] = False
    mask: Mask = clear[labels]
    return mask


def find_angle(ink: Mask) -> float:
    """Degrees, counter-clockwise, by which the page must be turned so that ink gathers in as few rows as possible."""
    y, x = np.nonzero(ink)
    if len(y) < 50:
        return 0.0
    chosen = np.random.default_rng(0).permutation(len(y))[:40_000]
    y, x = y[chosen].astype(np.float32), x[chosen].astype(np.float32)

    def sharpness(degrees: float) -> float:
        slope = np.deg2rad(degrees)
        rows = np.round(y * np.cos(slope) - x * np.sin(slope)).astype(np.int64)
        counts = np.bincount(rows - rows.min()).astype(np.float64)
        return float((np.diff(counts) ** 2).sum() + (counts**2).sum())

    best = 0.0
    for reach, step in ((MAX_ANGLE, 0.5), (0.5, 0.1), (0.1, 0.02)):
        best = max(np.arange(best - reach, best + reach + step / 2, step), key=sharpness)
    return float(best)


def letter_height(ink: Mask) -> int:
    """Height in pixels of the middle letter, weighted by ink; 0 when there is no writing."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    stats = stats[1:]
    stats = stats[(stats[:, cv2.CC_STAT_HEIGHT] >= 6) & (stats[:, cv2.CC_STAT_HEIGHT] < ink.shape[0] / 3)]
    if not len(stats):
        return 0
    order = np.argsort(stats[:, cv2.CC_STAT_HEIGHT])
    weight = np.cumsum(stats[order, cv2.CC_STAT_AREA])
    return int(stats[order[np.searchsorted(weight, weight[-1] / 2)], cv2.CC_STAT_HEIGHT])


def _long_strokes(dark: Mask, axis: int) -> Mask:
    """Straight strokes along a row (axis 0) or a column (axis 1) that are too long to be writing."""
    height, width = dark.shape
    length = max(1, round(RULE_SHARE * (width if axis == 0 else height)))
    bend = 5  # pixels by which a rule may leave its row
    along = (length, 1) if axis == 0 else (1, length)
    thickened = cv2.dilate(dark.astype(np.uint8), np.ones((bend, 1) if axis == 0 else (1, bend), np.uint8))
    strokes = cv2.morphologyEx(thickened, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, along))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    column, other = (cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH) if axis == 0 else (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)
    limit = THICK * max(height, width) + 2 * bend
    keep = np.zeros(count, dtype=bool)
    for i in range(1, count):
        mean_thickness = stats[i, cv2.CC_STAT_AREA] / stats[i, other]
        keep[i] = mean_thickness <= limit and stats[i, column] <= 0.05 * stats[i, other] + limit
    mask: Mask = keep[labels] & dark
    return mask


def _grown(mask: Mask, by: int) -> Mask:
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    grown: Mask = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    return grown

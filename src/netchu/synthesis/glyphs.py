"""Turns a face into pen paths: each character becomes the centre lines of its strokes.

A face is drawn once, character by character, at a fixed large size; its strokes are thinned to one pixel and
traced. What is kept is where a pen would go, so one nib can then write any face, thick or thin. Lengths are in
units of the face's own letter size (about its x-height), x to the right, y down, baseline at y = 0.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from netchu.core.errors import NetchuError
from netchu.synthesis.fonts import known_characters

UNIT = 56  # pixels of one unit while a character is traced
CAPITAL_RATIO = 1.75  # capitals of a usual hand, in x-heights
PEN = 7.0  # pixels that a usual pen is wide at that size
TOUCH = (1.5, 4.0)  # a dot is a short stroke of the pen, this far in pixels
THRESHOLD = 96  # below the middle, so that hairlines survive


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character as closed pen paths.

    points: (P, 2) float32, all paths one after another. lengths: points in each path. part: (P,) int32, 0 for the
    body of the character, 1, 2, ... for its separate marks (tones, dots). below: for each part, whether it hangs under
    the baseline, as a dot below does. advance: units.
    """

    points: np.ndarray
    lengths: tuple[int, ...]
    part: np.ndarray
    below: tuple[bool, ...]
    advance: float


def _thinning_tables() -> tuple[np.ndarray, np.ndarray]:
    """Which 3x3 neighbourhoods keep their centre in each of the two half-steps of Guo and Hall's thinning (1989).

    Bit k of a code is the k-th neighbour, clockwise from the north. Two tables of 256 values, 0 = remove, 1 = keep.
    """
    codes = np.arange(256)
    n, ne, e, se, s, sw, w, nw = ((codes >> k) & 1 for k in range(8))
    pieces = (1 - n & (ne | e)) + (1 - e & (se | s)) + (1 - s & (sw | w)) + (1 - w & (nw | n))
    around = np.minimum((nw | n) + (ne | e) + (se | s) + (sw | w), (n | ne) + (e | se) + (s | sw) + (w | nw))
    either = (pieces == 1) & (around >= 2) & (around <= 3)
    first = either & (((s | sw | 1 - nw) & w) == 0)
    second = either & (((n | ne | 1 - se) & e) == 0)
    return (~first).astype(np.uint8), (~second).astype(np.uint8)


_TABLES = _thinning_tables()
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
_CODE_KERNEL = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)


def thin(mask: np.ndarray) -> np.ndarray:
    """Thin a (H, W) uint8 mask of 0 and 1 to lines one pixel wide, with a border of zeros kept around it."""
    mask = mask.copy()
    while True:
        before = mask
        for table in _TABLES:
            code = cv2.filter2D(mask, cv2.CV_8U, _CODE_KERNEL, borderType=cv2.BORDER_CONSTANT)
            mask = mask & cv2.LUT(code, table)
        if np.array_equal(before, mask):
            return mask


def trace(skeleton: np.ndarray, mask: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
    """Closed paths, (P, 2) float32 in pixels, along a (H, W) skeleton of a mask, and the part that each belongs to.

    A path runs out along a stroke and back, since it is the contour of a line one pixel wide. Parts are numbered
    from the largest, 0. Thinning eats the ends of strokes, most of a comma in a heavy face: each part is stretched
    back to the size that it has in the mask, less the width of a pen.
    """
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    order = {int(label): rank for rank, label in enumerate(np.argsort(-boxes[1:, cv2.CC_STAT_AREA]) + 1)}
    contours, _ = cv2.findContours(skeleton, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    raw: list[np.ndarray] = [contour[:, 0].astype(np.float32) for contour in contours]
    owners = [int(labels[contour[0, 0, 1], contour[0, 0, 0]]) for contour in contours]
    stretched: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for label in set(owners):
        points = np.concatenate([path for path, own in zip(raw, owners, strict=True) if own == label])
        low, high = points.min(0), points.max(0)
        whole = boxes[label, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] - PEN
        factor = np.where(high - low > 2, whole / np.maximum(high - low, 1), 1.0).clip(1.0, 2.0)
        corner = boxes[label, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
        stretched[label] = ((low + high) / 2, factor, corner + (whole + PEN - 1) / 2)
    paths: list[np.ndarray] = []
    for path, label in zip(raw, owners, strict=True):
        if len(path) > 8:
            around = np.concatenate([path[-6:], path, path[:6]])
            path = np.asarray(cv2.GaussianBlur(around, (1, 9), 0, sigmaY=1.8), np.float32)[6:-6:4]
        elif len(path) < 4:
            path = np.concatenate([path, path[:1] + np.array(TOUCH, np.float32)])
        middle, factor, target = stretched[label]
        paths.append(((path - middle) * factor + target).astype(np.float32))
    return paths, [order[label] for label in owners]


class GlyphBook:
    """The pen paths of one face, traced when first asked for and then kept."""

    def __init__(self, path: Path) -> None:
        try:
            probe = ImageFont.truetype(str(path), 200)
        except OSError as error:
            raise NetchuError(f"{path}: cannot be read as a font ({error}); check the path") from error
        small = -probe.getbbox("x", anchor="ls")[1]
        capital = -probe.getbbox("H", anchor="ls")[1]
        letter_size = 0.6 * small + 0.4 * capital / CAPITAL_RATIO
        self.path = path
        self._font = ImageFont.truetype(str(path), 200 * UNIT / max(letter_size, 1.0))
        self._glyphs: dict[str, Glyph] = {}
        self._kerning: dict[str, float] = {}

    def glyph(self, char: str) -> Glyph:
        """The pen paths of one NFC character."""
        if char not in self._glyphs:
            self._glyphs[char] = self._trace(char)
        return self._glyphs[char]

    def kerning(self, left: str, right: str) -> float:
        """How much nearer (negative) or farther `right` stands after `left` than their advances say, in units."""
        pair = left + right
        if pair not in self._kerning:
            width = self._font.getlength(pair) / UNIT - self.glyph(left).advance - self.glyph(right).advance
            self._kerning[pair] = min(max(width, -0.5), 0.3)
        return self._kerning[pair]

    @cached_property
    def _known(self) -> frozenset[int]:
        return known_characters(self.path)

    def _trace(self, char: str) -> Glyph:
        font = self._font
        if ord(char) not in self._known:
            raise NetchuError(f"{self.path.name}: cannot write {char!r} ({unicodedata.name(char, 'unnamed')})")
        left, top, right, bottom = font.getbbox(char, anchor="ls")
        advance = font.getlength(char) / UNIT
        if right <= left or bottom <= top:
            return Glyph(np.zeros((0, 2), np.float32), (), np.zeros(0, np.int32), (False,), advance)
        margin = 4
        image = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
        ImageDraw.Draw(image).text((margin - left, margin - top), char, font=font, fill=255, anchor="ls")
        soft = cv2.GaussianBlur(np.asarray(image), (0, 0), 1.0)
        mask = (soft > min(THRESHOLD, 0.5 * float(soft.max()))).astype(np.uint8)
        mask = np.asarray(cv2.dilate(mask, _CROSS))  # a slanted line two pixels wide would be thinned away whole
        paths, owners = trace(thin(mask), mask)
        if not paths:
            raise NetchuError(f"{self.path}: draws nothing for {unicodedata.name(char, char)}; use another face")
        points = (np.concatenate(paths) + np.array([left - margin, top - margin], np.float32)) / np.float32(UNIT)
        part = np.repeat(np.array(owners, np.int32), [len(path) for path in paths])
        below = tuple(
            bool((part == own).any() and points[part == own, 1].mean() > -0.1) for own in range(max(owners) + 1)
        )
        return Glyph(points, tuple(len(path) for path in paths), part, below, advance)

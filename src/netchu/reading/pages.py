"""Photographed pages: their lines found, cut level and read, in reading order.

The lines are found by PP-OCRv6's small text detector, a network with differentiable binarisation (Liao et al.,
arXiv:1911.08947), whose file lies in `detector/`. It gives fragments of lines; here they are parted at the vertical
rules of a table, joined along their row, put in order and cut from the photograph. Needs numpy, OpenCV, onnxruntime.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.images import Image, cut_polygon
from netchu.ctc.decoders import Reading
from netchu.reading.engines.sessions import one_line, open_session

DETECTOR = Path(__file__).parent / "detector" / "PP-OCRv6_det_small.onnx"
PIXELS = 960 * 768  # a page is reduced to so many before the detector sees it
SHORTEST_SIDE = 32  # pixels; nothing below it is a page
CELL = 32  # the detector's input has sides of whole cells
WRITTEN = 0.3  # probability above which a pixel belongs to writing
SURE = 0.6  # mean probability in the rectangle around a fragment that is kept
GROWTH = 1.6  # the detector marks the core of a line; a fragment grows by its area / its outline x this
MAX_GAP = 1.5  # line heights between two fragments of one line
COLUMN_LINES = 5  # lines that a column of running text has at least
COLUMN_FILL = 0.6  # of the width of a column of running text, the share that its middle line covers at least
UPRIGHT_LINES = 3  # lines that are read from both sides, to tell whether a page lies upside down
DOUBTFUL = 0.5  # mean confidence of the longest lines below which that is asked

Points = NDArray[np.float64]  # (n, 2) x, y in pixels


@dataclass(frozen=True, slots=True)
class PageLine:
    """A line of a page.

    `box`: x0, y0, x1, y1 in pixels of the photograph, ends excluded. `corners` (4, 2) x, y: top left, top right, bottom
    right, bottom left, as the line is read. `image` (h, w): the line, level, at the photograph's own size.
    """

    box: tuple[int, int, int, int]
    corners: Points
    image: Image


@dataclass(frozen=True, slots=True)
class ReadLine(PageLine):
    """A line of a page and what it says."""

    reading: Reading

    @property
    def text(self) -> str:
        """The line's text."""
        return self.reading.text

    @property
    def confidence(self) -> float:
        """How sure the reader is of the text, 0 to 1."""
        return self.reading.confidence

    def to_dict(self, page: str) -> dict[str, Any]:
        """JSON-ready mapping: page, box, corners, text, confidence."""
        return {
            "page": page,
            "box": list(self.box),
            "corners": np.round(self.corners, 1).tolist(),
            "text": self.text,
            "confidence": round(self.confidence, 4),
        }


def find_lines(photo: Image, *, threads: int = 0) -> list[PageLine]:
    """Lines of a grey page (h, w) in reading order; an empty list when no writing was found.

    Columns of running text are read one after the other, everything else row by row. A page that lies on its side is
    turned clockwise first; whether it then stands on its head only a reader can tell, see `read_page`.
    `threads` of the CPU, 0 for onnxruntime's own choice.
    """
    if min(photo.shape) < SHORTEST_SIDE:
        return []
    detector = load_detector(threads)
    probabilities = detector(photo)
    found = _Fragments(photo, probabilities)
    if not found.on_side:
        return found.lines()
    turned = np.ascontiguousarray(np.rot90(photo, -1))
    lines = _Fragments(turned, detector(turned)).lines()
    return [_placed(line.image, _unturned(line.corners, photo.shape[0]), photo) for line in lines]


def read_page(read: Callable[[list[Image]], Sequence[Reading]], photo: Image, *, threads: int = 0) -> list[ReadLine]:
    """Find the lines of a grey page (h, w) and `read` them, in reading order.

    Of a page whose longest lines are read doubtfully, these are read from the other side too: it may lie upside down.
    It stays as it is when that is doubtful as well, as of writing that the reader has not learnt.
    """
    lines = find_lines(photo, threads=threads)
    readings = list(read([line.image for line in lines]))
    longest = sorted(range(len(lines)), key=lambda i: -lines[i].image.shape[1])[:UPRIGHT_LINES]
    sure = sum(readings[i].confidence for i in longest)
    enough = DOUBTFUL * len(longest)
    if sure < enough:
        turned = read([upside_down(lines[i]).image for i in longest])
        if sum(reading.confidence for reading in turned) >= enough:
            lines = [upside_down(line) for line in reversed(lines)]
            readings = list(read([line.image for line in lines]))
    return [
        ReadLine(line.box, line.corners, line.image, reading) for line, reading in zip(lines, readings, strict=True)
    ]


def upside_down(line: PageLine) -> PageLine:
    """The same line, read from its other side."""
    return PageLine(line.box, np.roll(line.corners, 2, axis=0), np.ascontiguousarray(np.rot90(line.image, 2)))


def box_of(corners: Points, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of corners (4, 2) inside a photograph of that (width, height)."""
    (x0, y0), (x1, y1) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    return max(0, int(x0)), max(0, int(y0)), min(size[0], int(x1)), min(size[1], int(y1))


def draw_lines(photo: Image, lines: Sequence[PageLine]) -> NDArray[np.uint8]:
    """The page (h, w, 3), blue, green and red, with the outlines of its lines."""
    drawn = cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR)
    cv2.polylines(drawn, [np.round(line.corners).astype(np.int32) for line in lines], True, (30, 90, 220), 2)
    return np.asarray(drawn, dtype=np.uint8)


class Detector:
    """The network: a grey page (h, w) -> the probability of writing, float32 (h', w'), h' and w' whole cells."""

    def __init__(self, path: Path = DETECTOR, *, threads: int = 0) -> None:
        """Open the file; raises NetchuError when it or onnxruntime is missing, or the file is damaged."""
        with one_line(f"{path}: the page detector cannot be opened", "install netchu again"):
            self.session = open_session(path, threads=threads)

    def __call__(self, photo: Image) -> NDArray[np.float32]:
        """(h, w) -> (h', w'); the page is reduced to at most PIXELS, never enlarged but to whole cells."""
        scale = min(1.0, (PIXELS / photo.size) ** 0.5)
        height, width = (max(CELL, round(side * scale / CELL) * CELL) for side in photo.shape)
        small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        images = np.repeat((small / 127.5 - 1)[None, None], 3, axis=1)
        return np.asarray(self.session.run(None, {"x": images})[0][0, 0])


@cache
def load_detector(threads: int = 0) -> Detector:
    """The detector, opened once a process and number of threads."""
    return Detector(threads=threads)


@dataclass(slots=True, eq=False)
class _Part:
    """A fragment or a line in the reduced page: the outline of its core, and its middle line's frame.

    `along` and `across` are (least, greatest) of its coordinates in a frame turned by `angle` radians, grown to the
    whole height of the writing.
    """

    outline: Points
    angle: float
    along: tuple[float, float]
    across: tuple[float, float]

    @property
    def height(self) -> float:
        return self.across[1] - self.across[0]

    @property
    def width(self) -> float:
        return self.along[1] - self.along[0]

    def corners(self) -> Points:
        """(4, 2), from the top left on, in the reduced page."""
        (a, b), (c, d) = self.along, self.across
        return np.array([(a, c), (b, c), (b, d), (a, d)]) @ _frame(self.angle)

    def end(self, side: int) -> Points:
        """(2,): the middle of its left (0) or right (1) end."""
        return np.asarray(np.array([self.along[side], sum(self.across) / 2]) @ _frame(self.angle))


class _Fragments:
    """From the probabilities of writing on a page to its lines."""

    def __init__(self, photo: Image, probabilities: NDArray[np.float32]) -> None:
        self.photo = photo
        self.probabilities = probabilities
        self.scale = np.array(photo.shape[::-1]) / probabilities.shape[::-1]  # x, y
        self.outlines = self._outlines(probabilities)

    @staticmethod
    def _outlines(probabilities: NDArray[np.float32]) -> list[Points]:
        """Outline (n, 2) of every fragment that is large and sure enough."""
        mask = cv2.dilate((probabilities > WRITTEN).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        kept = []
        for outline in outlines:
            box = cv2.minAreaRect(outline)
            if min(box[1]) < 3:
                continue
            corners = cv2.boxPoints(box)
            low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
            high = np.ceil(corners.max(axis=0)).astype(int) + 1
            around = probabilities[low[1] : high[1], low[0] : high[0]]
            inside = np.zeros(around.shape, np.uint8)
            cv2.fillPoly(inside, [np.round(corners - low).astype(np.int32)], (1,))
            if cv2.mean(around, inside)[0] >= SURE:
                kept.append(outline[:, 0].astype(np.float64))
        return kept

    @cached_property
    def on_side(self) -> bool:
        """Whether most of the writing runs up or down the page."""
        upright = sum(np.ptp(o[:, 0]) for o in self.outlines if np.ptp(o[:, 0]) > 2 * np.ptp(o[:, 1]))
        sideways = sum(np.ptp(o[:, 1]) for o in self.outlines if np.ptp(o[:, 1]) > 2 * np.ptp(o[:, 0]))
        return bool(sideways > upright)

    @cached_property
    def angle(self) -> float:
        """Radians by which the page's lines fall to the right: the middle one of its fragments, weighted by length."""
        boxes = [cv2.minAreaRect(outline.astype(np.float32)) for outline in self.outlines]
        known = sorted((_tilt(size, angle), max(size)) for _, size, angle in boxes if max(size) > 3 * min(size))
        if not known:
            return 0.0
        angles, weights = np.array(known).T
        return float(angles[np.searchsorted(weights.cumsum(), weights.sum() / 2)])

    def lines(self) -> list[PageLine]:
        """The page's lines in reading order."""
        parts = [self._part(outline) for outline in self.outlines]
        if not parts:
            return []
        rules = self._rules(float(np.median([part.height for part in parts])))
        if len(rules):
            erased = self.probabilities.copy()
            for start, end in rules:
                cv2.line(erased, start.round().astype(int).tolist(), end.round().astype(int).tolist(), (0.0,), 3)
            parts = [_kept_between(self._part(outline), rules) for outline in self._outlines(erased)]
        columns = [parts] if len(rules) else _columns(parts, self.angle)  # vertical rules: a table, row by row
        ordered = [part for column in columns for part in _by_row(self._joined(column, rules), self.angle)]
        outlines = [part.corners() * self.scale for part in ordered]
        return [_placed(cut_polygon(self.photo, corners), corners, self.photo) for corners in outlines]

    def _part(self, outline: Points) -> _Part:
        """A fragment; a short one has the page's angle, since its own is chance."""
        _, size, angle = cv2.minAreaRect(outline.astype(np.float32))
        own = _tilt(size, angle)
        tilt = own if max(size) > 4 * min(size) and abs(own - self.angle) < 0.2 else self.angle
        x, y = (outline @ _frame(tilt).T).T
        width, height = np.ptp(x) + 1, np.ptp(y) + 1
        grown = GROWTH * width * height / (2 * (width + height))
        return _Part(outline, tilt, _span(x, grown), _span(y, grown))

    def _rules(self, unit: float) -> NDArray[np.float64]:
        """(n, 2, 2): ends of the page's vertical rules, longer than two rows of writing of height `unit`.

        Dark strokes that run straight across the lines' direction, found by a probabilistic Hough transform.
        """
        size = self.probabilities.shape[::-1]
        small = cv2.resize(self.photo, size, interpolation=cv2.INTER_AREA)
        dark = cv2.adaptiveThreshold(small, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 15, 8)
        length = 2.5 * unit
        found = cv2.HoughLinesP(dark, 1, np.pi / 720, round(0.6 * length), minLineLength=length, maxLineGap=3)
        if found is None:
            return np.zeros((0, 2, 2))
        ends = found.reshape(-1, 2, 2).astype(np.float64)
        ends = np.where((ends[:, 0, 1] > ends[:, 1, 1])[:, None, None], ends[:, ::-1], ends)  # downwards
        x, y = (ends[:, 1] - ends[:, 0]).T
        return np.asarray(ends[np.abs(np.arctan2(-x, y) - self.angle) < 0.15])

    def _joined(self, parts: list[_Part], rules: NDArray[np.float64]) -> list[_Part]:
        """Fragments of one row with little room and no rule between them made one."""
        parts = sorted(parts, key=lambda part: part.end(0) @ _frame(self.angle)[0])
        done: list[_Part] = []
        for part in parts:
            before = [line for line in done if self._continues(line, part, rules)]
            if not before:
                done.append(part)
                continue
            line = max(before, key=lambda line: line.along[1])
            done[done.index(line)] = self._union(line, part)
        return done

    def _continues(self, line: _Part, part: _Part, rules: NDArray[np.float64]) -> bool:
        """Whether `part`, farther right, goes on where `line` ends."""
        unit = min(line.height, part.height)
        if max(line.height, part.height) > 2.5 * unit:
            return False
        gap, rise = _frame(self.angle) @ (part.end(0) - line.end(1))
        inside = gap < -0.5 * min(line.width, part.width)  # above or below one another, not side by side
        if gap > MAX_GAP * unit or inside or abs(rise) > 0.4 * unit:
            return False
        ends = np.array([line.end(0) / 2 + line.end(1) / 2, part.end(0) / 2 + part.end(1) / 2])
        return not any(_cross(ends, rule) for rule in rules)

    def _union(self, line: _Part, part: _Part) -> _Part:
        whole = self._part(np.vstack([line.outline, part.outline]))
        frame = _frame(whole.angle)
        x, y = (np.vstack([line.corners(), part.corners()]) @ frame.T).T
        return replace(whole, along=_span(x), across=_span(y))


def _kept_between(part: _Part, rules: NDArray[np.float64]) -> _Part:
    """The part, grown no farther than the rules at its left and right."""
    frame = _frame(part.angle)
    core = (part.outline @ frame.T)[:, 0]
    left, right = part.along
    middle = sum(part.across) / 2
    for (x0, y0), (x1, y1) in rules @ frame.T:
        if not min(y0, y1) - part.height < middle < max(y0, y1) + part.height or y0 == y1:
            continue
        x = x0 + (middle - y0) * (x1 - x0) / (y1 - y0)
        if x < core.min() + 2:
            left = max(left, x + 1)
        elif x > core.max() - 2:
            right = min(right, x - 1)
    return replace(part, along=(left, right))


def _columns(parts: list[_Part], angle: float) -> list[list[_Part]]:
    """Parts by column, from the left: a gap from top to bottom parts columns when what lies at both sides fills its
    column, as running text does and a form does not."""
    frame = _frame(angle)
    parts = sorted(parts, key=lambda part: float((part.corners() @ frame.T)[:, 0].min()))
    spans = np.array([(part.corners() @ frame.T)[:, 0] for part in parts])
    left, right = spans.min(axis=1), spans.max(axis=1)
    for i in range(COLUMN_LINES, len(parts) - COLUMN_LINES + 1):
        if left[i] > right[:i].max() and _running(left[:i], right[:i]) and _running(left[i:], right[i:]):
            return [parts[:i], *_columns(parts[i:], angle)]
    return [parts]


def _by_row(parts: list[_Part], angle: float) -> list[_Part]:
    """Parts row by row from the top, each row from the left."""
    frame = _frame(angle)
    middles = {id(part): frame @ (part.end(0) + part.end(1)) / 2 for part in parts}
    rows: list[list[_Part]] = []
    for part in sorted(parts, key=lambda part: float(middles[id(part)][1])):
        first = rows[-1][0] if rows else part
        if rows and middles[id(part)][1] < middles[id(first)][1] + 0.5 * first.height:
            rows[-1].append(part)
        else:
            rows.append([part])
    return [part for row in rows for part in sorted(row, key=lambda part: float(middles[id(part)][0]))]


def _running(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    """Whether lines from `left` to `right` are a column of running text."""
    return bool(np.median(right - left) >= COLUMN_FILL * (right.max() - left.min()))


def _frame(angle: float) -> Points:
    """(2, 2): rows are the directions along and across a line that falls by `angle` radians to the right."""
    return np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])


def _span(values: NDArray[np.float64], grown: float = 0.0) -> tuple[float, float]:
    """The least and the greatest of the values, each moved outwards."""
    return float(values.min()) - grown, float(values.max()) + grown


def _tilt(size: Sequence[float], degrees: float) -> float:
    """Radians by which the longer side of OpenCV's turned rectangle falls to the right, within a quarter turn."""
    turned = degrees if size[0] >= size[1] else degrees + 90
    return float(np.deg2rad((turned + 90) % 180 - 90))


def _cross(a: Points, b: Points) -> bool:
    """Whether two segments (2, 2) cross: the ends of each lie at both sides of the other."""

    def parted(by: Points, ends: Points) -> bool:
        (x, y), way = by[0], by[1] - by[0]
        sides = way[0] * (ends[:, 1] - y) - way[1] * (ends[:, 0] - x)
        return bool(sides[0] * sides[1] < 0)

    return parted(a, b) and parted(b, a)


def _placed(image: Image, corners: Points, photo: Image) -> PageLine:
    """A line image and its corners, with its box inside the photograph."""
    return PageLine(box_of(corners, (photo.shape[1], photo.shape[0])), corners, image)


def _unturned(corners: Points, height: int) -> Points:
    """Corners on a page turned clockwise, in the page of that height as it was."""
    return np.stack([corners[:, 1], height - corners[:, 0]], axis=1)

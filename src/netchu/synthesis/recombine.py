"""New lines from real ones: the same ink on other paper, or words of one writer set together anew.

Only the manifest's lines of the folds that are named are ever looked at; images of other folds are not opened.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.data.manifest import Line, read_lines
from netchu.synthesis import Rng
from netchu.synthesis.finish import finish
from netchu.synthesis.sheet import Frame, soft_field
from netchu.synthesis.word_crops import CutLine, cut_line, join_crops
from netchu.synthesis.words import Words

TRIES = 10  # lines of a writer that are tried for clear gaps
KEPT = 2048  # cut lines that a process keeps in memory, about 0.13 MB each at 96 px


def lines_of_folds(manifest: Path, folds: Collection[int]) -> list[Line]:
    """The real lines of `folds` in a manifest. Raises NetchuError when there is none."""
    lines = [line for line in read_lines(manifest) if line.fold in folds and line.is_real and line.text.strip()]
    if not lines:
        raise NetchuError(
            f"{manifest}: no real line in folds {', '.join(map(str, sorted(folds)))}; choose other --folds"
        )
    return lines


class Recombiner:
    """Makes lines `height` pixels high from real lines.

    recombine: how often words of several lines of one writer are put together, where the writer is known and the
    gaps between words are clear; all other lines keep their text and get another sheet.
    seen: words of each line by image path, as a bundle sees them; where it sees none, gaps of the ink count.
    """

    def __init__(
        self,
        lines: list[Line],
        height: int,
        effects: Mapping[str, float],
        recombine: float,
        seen: Mapping[str, Words] | None = None,
    ) -> None:
        self.lines = lines
        self.height = height
        self.effects = effects
        self.recombine = recombine
        self._by_writer: dict[str, list[Line]] = {}
        for line in lines:
            if line.writer_id:
                self._by_writer.setdefault(line.origin, []).append(line)
        words = seen or {}
        self._cut = lru_cache(maxsize=KEPT)(lambda p, text: cut_line(read_image(p), text, words.get(str(p))))

    def make(self, rng: Rng) -> tuple[np.ndarray, str, str]:
        """A new line: image uint8 (height, W), text, and whose it is: `source/writer`, or `source/image` if unknown."""
        line = self.lines[int(rng.integers(len(self.lines)))]
        ink, text = None, line.text
        if rng.random() < self.recombine:
            ink, text = self._recombined(line, rng)
        if ink is None:
            ink, text = self._refitted(line, rng), line.text
        ink = warp_ink(ink, rng)
        frame = _frame_of(ink, rng)
        canvas = np.zeros((self.height, frame.width), np.float32)
        left = int(frame.left)
        canvas[:, left : left + ink.shape[1]] = ink
        return finish(frame, canvas, float(rng.beta(1.5, 3.5)) * 0.6, self.effects, rng), text, line.origin

    def _refitted(self, line: Line, rng: Rng) -> np.ndarray:
        """The ink of one line, trimmed to its writing, at another scale and height."""
        whole = self._cut(line.path, line.text).ink
        columns = np.flatnonzero((whole > 0.3).any(0))
        if not len(columns):
            return np.zeros((self.height, self.height * 4), np.float32)
        ink = whole[:, max(0, columns[0] - 3) : columns[-1] + 4]
        scale = self.height / len(ink) * rng.uniform(0.88, 1.08)
        shift = (self.height - scale * len(ink)) / 2 + rng.uniform(-0.05, 0.05) * self.height
        width = max(1, round(ink.shape[1] * scale))
        soft = ink if scale > 0.8 else cv2.GaussianBlur(ink, (0, 0), 0.35 / scale)
        return cv2.warpAffine(
            soft, np.array([[scale, 0, 0], [0, scale, shift]]), (width, self.height), flags=cv2.INTER_LINEAR
        )

    def _recombined(self, line: Line, rng: Rng) -> tuple[np.ndarray | None, str]:
        """The beginning of one line and the end of another by the writer of `line`; None if they cannot be cut."""
        family = self._by_writer.get(line.origin, []) if line.writer_id else []
        cuts: list[CutLine] = []
        for index in rng.permutation(len(family))[:TRIES]:
            cut = self._cut(family[index].path, family[index].text)
            if len(cut.spans) > 1 and all(cut.words != other.words for other in cuts):
                cuts.append(cut)
            if len(cuts) == 3:
                break
        if len(cuts) < 2:
            return None, ""
        first, last = cuts[:2]
        share = rng.uniform(0.3, 0.7)
        head = int(np.clip(round(share * len(first.words)), 1, len(first.words) - 1))
        tail = int(np.clip(round(share * len(last.words)), 1, len(last.words) - 1))
        pieces = [first.take(0, head), last.take(tail, len(last.words))]
        if len(cuts) > 2 and len(cuts[2].words) >= 3 and rng.random() < 0.2:
            middle = cuts[2]
            start = int(rng.integers(1, len(middle.words) - 1))
            pieces.insert(1, middle.take(start, int(rng.integers(start + 1, len(middle.words)))))
        body = float(np.median([piece.body for piece in pieces])) * self.height / len(first.ink)
        body = float(np.clip(body, 0.14 * self.height, 0.34 * self.height))
        gaps = rng.uniform(0.2, 0.7, len(pieces) - 1).tolist()
        ink = join_crops(pieces, gaps, self.height, body, rng.uniform(0.62, 0.72) * self.height)
        return ink, " ".join(word for piece in pieces for word in piece.words)


def warp_ink(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """Lean, stretch and bend ink (H, W) a little, and make its strokes thinner or thicker; keeps H."""
    height, width = ink.shape
    stretch, lean = rng.uniform(0.85, 1.15), float(np.clip(rng.normal(0.0, 0.12), -0.3, 0.3))
    wide = max(1, round(width * stretch + abs(lean) * height))
    x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(height, dtype=np.float32))
    strength = rng.uniform(0.0, 0.02) * height
    across = (x - abs(lean) * height / 2 + lean * (y - height / 2)) / np.float32(stretch)
    across = across + np.float32(strength) * soft_field(x.shape, 0.6 * height, rng)
    down = y + np.float32(strength) * soft_field(x.shape, 0.8 * height, rng)
    warped = cv2.remap(ink, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    change = rng.uniform(-1.0, 1.0)
    if change > 0.3:
        fat = cv2.dilate(warped, np.ones((2, 2), np.uint8))
        warped = warped + np.float32(0.7 * change) * (fat - warped)
    elif change < -0.3:
        warped = np.clip(warped * 1.25 + 0.25 * change, 0.0, 1.0)
    return warped


def _frame_of(ink: np.ndarray, rng: Rng) -> Frame:
    """A frame around lifted ink (height, W), sometimes as wide as a table cell."""
    height, width = ink.shape
    left, right = rng.uniform(0.02, 0.6, 2) * height
    frame = Frame(height=height, letters=width, unit=1.0, left=left, right=right, baseline=0.67 * height)
    if rng.random() < 0.5:
        frame.least_width = height * rng.uniform(12.5, 18.0)
    return frame

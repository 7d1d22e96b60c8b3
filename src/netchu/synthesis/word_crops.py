"""Lifts the ink off a real line and cuts it into words at its gaps.

Ink is float32 (H, W), 0 for paper and 1 for the darkest strokes, so it can be laid on any other paper.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from netchu.synthesis.words import Words, cut_at

EVENING = 1.15  # how far sizes of joined words are made alike; the size of a body is known only roughly
LEAST_CONTRAST = 25.0  # grey levels between paper and ink


@dataclass(frozen=True, slots=True)
class CutLine:
    """One real line with its ink and where its words are, or a crop of some words of it.

    stored: (H, W) uint8, the ink times 255, as many lines are kept in memory. words: what it says. spans: (start, stop)
    columns of each word, empty when the gaps do not fit the text. baseline: row on which the letters stand. body:
    height of the small letters in pixels.
    """

    stored: np.ndarray
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    baseline: float
    body: float

    @property
    def ink(self) -> np.ndarray:
        """(H, W) float32, 0..1."""
        return np.asarray(self.stored.astype(np.float32) / np.float32(255))

    def take(self, first: int, last: int) -> "CutLine":
        """The words from `first` up to, not including, `last`, with half the gap on each side."""
        spans, width = self.spans, self.stored.shape[1]
        left = 0 if first == 0 else (spans[first - 1][1] + spans[first][0]) // 2
        right = width if last == len(spans) else (spans[last - 1][1] + spans[last][0] + 1) // 2
        left, right = max(left, spans[first][0] - 6), min(right, spans[last - 1][1] + 6)
        return replace(self, stored=self.stored[:, left:right], words=self.words[first:last], spans=())


def lift_ink(image: np.ndarray) -> np.ndarray:
    """The handwriting of a grey line, uint8 (H, W), without paper and without ruled borders; float32 (H, W), 0..1."""
    height = len(image)
    size = max(3, int(height * 0.3) | 1)
    paper = cv2.morphologyEx(image, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    paper = cv2.GaussianBlur(paper, (0, 0), height * 0.15).astype(np.float32)
    depth = np.maximum(paper - image, 0.0)
    contrast = max(float(np.percentile(depth, 99)), LEAST_CONTRAST)
    noise = min(max(3.0 * float(np.median(np.abs(depth))), 0.12 * contrast), 0.4 * contrast)
    ink: np.ndarray = np.clip((depth - noise) / max(contrast - noise, 1.0), 0.0, 1.0).astype(np.float32)
    mask = (ink > 0.25).astype(np.uint8)
    ink[_ruled(mask)] = 0.0
    return ink


def _ruled(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: long straight runs, and specks or strips at the edges that belong to other cells."""
    height, width = mask.shape
    joined = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    across = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, max(9, int(1.2 * height))), np.uint8))
    upright = cv2.dilate(mask, np.ones((1, 3), np.uint8))
    down = cv2.morphologyEx(upright, cv2.MORPH_OPEN, np.ones((max(9, int(0.94 * height)), 1), np.uint8))
    down[:, : width // 2] = 0
    down[:, down.mean(0) < 0.9] = 0
    ruled = np.asarray(cv2.dilate(np.maximum(across, down), np.ones((3, 3), np.uint8))) > 0
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    top, bottom = boxes[:, cv2.CC_STAT_TOP], boxes[:, cv2.CC_STAT_TOP] + boxes[:, cv2.CC_STAT_HEIGHT]
    low = (bottom < 0.2 * height) & (top <= 1)
    high = (top > 0.85 * height) & (bottom >= height - 1)
    small = boxes[:, cv2.CC_STAT_AREA] < 4
    drop = low | high | small
    drop[0] = False
    return np.asarray(ruled | drop[labels], dtype=bool)


def cut_line(image: np.ndarray, text: str, seen: Words | None = None) -> CutLine:
    """Lift the ink of a line and find its words; `spans` stays empty when the gaps do not match the text.

    seen: the words as a bundle sees them; without, they lie between the widest gaps of the ink.
    """
    ink = lift_ink(image)
    words = tuple(text.split())
    rows = cv2.GaussianBlur(ink.sum(1, keepdims=True), (1, 9), 0, sigmaY=1.5)[:, 0]
    band = np.flatnonzero(rows > 0.5 * rows.max()) if rows.any() else np.array([ink.shape[0] // 2])
    baseline, body = float(band[-1] + 1), float(max(band[-1] - band[0] + 1, 0.08 * ink.shape[0]))
    stored = np.rint(ink * 255).astype(np.uint8)
    spans = find_words(ink, words, baseline, body) if seen is None else cut_at(ink, seen, len(text))
    return CutLine(stored, words, tuple(spans), baseline, body)


def find_words(ink: np.ndarray, words: tuple[str, ...], baseline: float, body: float) -> list[tuple[int, int]]:
    """Columns of each word, or [] if the widest gaps are not clearly wider than the rest or words get odd widths."""
    top, bottom = int(max(0, baseline - 2.2 * body)), int(min(len(ink), baseline + 0.4 * body))
    filled = np.flatnonzero((ink[top:bottom] > 0.3).any(0))
    if len(filled) < 2 or not words:
        return []
    steps = np.diff(filled)
    gaps = np.sort(steps)[::-1]
    wanted = len(words) - 1
    if wanted >= len(steps) or (wanted and (gaps[wanted - 1] < 0.3 * body or gaps[wanted - 1] < 1.2 * gaps[wanted])):
        return []
    cuts = np.sort(np.argsort(-steps, kind="stable")[:wanted])
    starts = [int(filled[0]), *(int(filled[cut + 1]) for cut in cuts)]
    stops = [*(int(filled[cut]) + 1 for cut in cuts), int(filled[-1]) + 1]
    pace = np.array(
        [(stop - start) / (len(word) + 0.3) for start, stop, word in zip(starts, stops, words, strict=True)]
    )
    usual = np.median(pace)
    if (pace < 0.45 * usual).any() or (pace > 2.2 * usual).any():
        return []
    return list(zip(starts, stops, strict=True))


def join_crops(crops: list[CutLine], gaps: list[float], height: int, body: float, baseline: float) -> np.ndarray:
    """Set crops of one writer side by side on one baseline: ink float32 (height, W).

    gaps: room between neighbours, in units of the letter body. body, baseline: of the new line, in pixels.
    """
    pieces = []
    usual = float(np.median([crop.body for crop in crops]))
    for crop in crops:
        scale = body / usual * float(np.clip(usual / crop.body, 1 / EVENING, EVENING))
        width = max(1, round(crop.ink.shape[1] * scale))
        matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, baseline - crop.baseline * scale]])
        shrunk = crop.ink if scale > 0.7 else cv2.GaussianBlur(crop.ink, (0, 0), 0.4 / scale)
        pieces.append(cv2.warpAffine(shrunk, matrix, (width, height), flags=cv2.INTER_LINEAR))
    for index, gap in enumerate(gaps):
        room = np.zeros((height, max(1, round(gap * body))), np.float32)
        pieces.insert(2 * index + 1, room)
    return np.concatenate(pieces, axis=1)

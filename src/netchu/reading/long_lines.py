"""Lines wider than a network takes: read in overlapping windows, whose outputs are joined to those of one long line.

Windows begin at whole time steps, so a step of two of them stands at one place. They are joined where both see a
blank, as near to the middle of their overlap as can be, since a window knows least of what stands at its edges. A
network that learnt short lines takes wide paper for the end of a line; here it is a space between two words.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK
from netchu.core.images import Image
from netchu.core.preprocess import WIDTH_MULTIPLE, Geometry, Input, resize

OVERLAP = 6  # heights of a line that two windows share
GAP = 2  # heights from letter to letter that are always a space
LONGEST = 2000  # heights: a wider image is no line
TALLEST = 12  # heights a width: a narrower image is no line

LogProbs = NDArray[np.float32]


def why_no_line(image: Image) -> str:
    """Why an image (h, w) can be no line of writing, by its shape; empty when it can."""
    height, width = image.shape
    if height > TALLEST * width:
        return f"is {width} x {height} pixels, too narrow for a line; turn it upright, or remove it"
    if width > LONGEST * height:
        return f"is {width} x {height} pixels, too wide for a line; cut it up, or remove it"
    return ""


def resize_whole(image: Image, geometry: Geometry) -> Image:
    """Scale to the geometry's height and to the width that belongs to it, however wide: (h, w) -> (H, w')."""
    return resize(image, replace(geometry, max_width=1 << 30))


def windows(line: Input, max_width: int, height: int) -> list[Input]:
    """An input (1, H, W) in windows as wide as the network takes, evenly spread; the line itself where it fits."""
    return [line[:, :, start : start + _size(max_width)] for start in window_starts(line.shape[2], max_width, height)]


def window_starts(width: int, max_width: int, height: int) -> list[int]:
    """Where the windows of an input of `width` pixels begin: multiples of WIDTH_MULTIPLE."""
    size = _size(max_width)
    if width <= size:
        return [0]
    shared = min(OVERLAP * height, size // 2)
    count = -(-(width - shared) // (size - shared))
    return [round(i * (width - size) / (count - 1) / WIDTH_MULTIPLE) * WIDTH_MULTIPLE for i in range(count)]


def _size(max_width: int) -> int:
    """Pixels of the widest input."""
    return -(-max_width // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def join(outputs: Sequence[LogProbs], starts: Sequence[int], stride: int) -> LogProbs:
    """log_probs (T, C) of a whole line from those of its windows; `stride`: pixels a time step."""
    whole = outputs[0]
    for output, start in zip(outputs[1:], starts[1:], strict=True):
        first = start // stride  # its first step, counted along the line
        at = _seam(whole[first:], output)
        whole = np.concatenate([whole[: first + at], output[at:]])
    return whole


def with_spaces(log_probs: LogProbs, space: int, steps: int) -> LogProbs:
    """log_probs (T, C) in which class `space` and the blank change places in the middle between two letters of the best
    path that stand more than `steps` apart, where neither is a space already."""
    best = log_probs.argmax(axis=1)
    spaced = log_probs.copy()
    for left, right in pairwise(np.flatnonzero(best != BLANK).tolist()):
        if right - left > steps and space not in (best[left], best[right]):
            middle = (left + right) // 2
            spaced[middle, [BLANK, space]] = log_probs[middle, [space, BLANK]]
    return spaced


def _seam(before: LogProbs, after: LogProbs) -> int:
    """The step, counted from the second window's start, at which the second one takes over; both (t, C) overlap."""
    steps = min(len(before), len(after))
    blank = (before[:steps].argmax(axis=1) == BLANK) & (after[:steps].argmax(axis=1) == BLANK)
    away = np.abs(np.arange(steps) - steps / 2)
    if blank.any():
        return int(np.where(blank, away, np.inf).argmin())
    return int((before[:steps, BLANK] + after[:steps, BLANK]).argmax())

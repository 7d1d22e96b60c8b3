"""Named albumentations pipelines for resized lines: uint8 (H, w) -> uint8 (H, w'), paper light and ink dark.

`AUGMENTS[name]()` is a list of transforms; `Augmenter(name)` runs it with a seed for each image, so what a line looks
like depends on (run seed, epoch, line) and not on which worker draws it.
"""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks the network for its version at import

import albumentations as A
import cv2
import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.images import Image

SHIFT = 3.0  # pixels that a line is moved at most
CELL, WOBBLE = 24, 2.0  # pixels between two control points, and that each is moved at most
HOLES = 3  # at most
REACH = 0.2  # of the height that a line is cut out too high or too low, at most


def paper_grey(line: Image) -> int:
    """Grey level of the paper: the 80th percentile, since most of a line is paper."""
    return int(np.percentile(line[::3, ::3], 80))


class LineWarp(A.ImageOnlyTransform):
    """One affine map: width scale, slant, size, shift. New ground at the border is plain paper."""

    def __init__(self, slant: float = 0.25, tilt: float = 0.01) -> None:
        super().__init__(p=0.9)
        self.slant, self.tilt = slant, tilt

    def apply(self, img: Image, **params: Any) -> Image:
        """(H, w) -> (H, w')."""
        height, width = img.shape[:2]
        draw = self.py_random.uniform
        across, down = draw(0.75, 1.15), draw(0.85, 1.05)
        slant, tilt = draw(-self.slant, self.slant), draw(-self.tilt, self.tilt)
        middle = height / 2
        target = max(8, round(width * across))
        up = middle - down * middle + draw(-SHIFT, SHIFT) - tilt * target / 2
        matrix = np.array([[across, slant, -slant * middle + draw(-SHIFT, SHIFT)], [tilt, down, up]])
        return cv2.warpAffine(
            img,
            matrix,
            (target, height),
            flags=cv2.INTER_LINEAR,  # type: ignore[return-value]
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=paper_grey(img),
        )


class Wobble(A.ImageOnlyTransform):
    """A smooth random displacement of pixels (elastic distortion of text lines, on a coarse grid of control points)."""

    def apply(self, img: Image, **params: Any) -> Image:
        """(H, w) -> (H, w)."""
        height, width = img.shape[:2]
        grid = (2, max(2, height // CELL + 1), max(2, width // CELL + 1))
        moves = self.random_generator.uniform(-WOBBLE, WOBBLE, grid).astype(np.float32)
        across, down = (cv2.resize(m, (width, height), interpolation=cv2.INTER_CUBIC) for m in moves)
        across += np.arange(width, dtype=np.float32)
        down += np.arange(height, dtype=np.float32)[:, None]
        return cv2.remap(img, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


class StrokeWidth(A.ImageOnlyTransform):
    """Thicker or thinner strokes: grey erosion or dilation by a 2-pixel element, blended with the original."""

    def apply(self, img: Image, **params: Any) -> Image:
        """(H, w) -> (H, w)."""
        element = np.ones(self.py_random.choice([(2, 2), (1, 2), (2, 1)]), np.uint8)
        change = self.py_random.choice([cv2.erode, cv2.dilate])(img, element)
        part = self.py_random.uniform(0.3, 1.0)
        return cv2.addWeighted(change, part, img, 1 - part, 0)  # type: ignore[return-value]


class RuledLine(A.ImageOnlyTransform):
    """A printed rule across the line near its upper or lower edge, or upright near an end, as in a table's cells."""

    def apply(self, img: Image, **params: Any) -> Image:
        """(H, w) -> (H, w)."""
        height, width = img.shape[:2]
        draw = self.py_random
        shade = draw.uniform(0.3, 0.9)
        ruled = img.copy()
        if draw.random() < 0.75:
            start = draw.uniform(0, 0.15) * height
            start = start if draw.random() < 0.5 else height - start
            ends = (0, round(start)), (width, round(start + draw.uniform(-0.03, 0.03) * height))
        else:
            start = draw.uniform(0, 0.03) * width
            start = start if draw.random() < 0.3 else width - start
            ends = (round(start), 0), (round(start + draw.uniform(-2, 2)), height)
        cv2.line(ruled, *ends, int(shade * float(img.mean())), draw.choice([1, 1, 2]), cv2.LINE_AA)
        return np.minimum(img, ruled)


class Misplaced(A.ImageOnlyTransform):
    """A line cut out too high or too low: it loses a strip at one edge, and a neighbour's strokes show at the other.

    The neighbour is the strip of this line that would follow there, moved sideways.
    """

    def apply(self, img: Image, **params: Any) -> Image:
        """(H, w) -> (H, w)."""
        height, width = img.shape[:2]
        draw = self.py_random
        rows = max(1, round(draw.uniform(0.25, 1.0) * REACH * height))
        if draw.random() < 0.4:
            rows = -rows
        output = np.roll(img, rows, axis=0)
        strip = slice(0, rows) if rows > 0 else slice(height + rows, height)
        output[strip] = np.roll(output[strip], draw.randrange(width), axis=1)
        return output


class CutOut(A.ImageOnlyTransform):
    """Narrow holes filled with the paper's grey: a pen that skipped, a fold, a spot of glare."""

    def apply(self, img: Image, **params: Any) -> Image:
        """(H, w) -> (H, w)."""
        height, width = img.shape[:2]
        draw = self.py_random
        output, paper = img.copy(), paper_grey(img)
        for _ in range(draw.randint(1, HOLES)):
            tall, wide = draw.randint(3, max(4, height // 4)), draw.randint(3, max(4, height // 5))
            top, left = draw.randint(0, height - tall), draw.randint(0, max(0, width - wide))
            output[top : top + tall, left : left + wide] = paper
        return output


def _ink() -> list[A.BasicTransform]:
    """What pens, papers and cameras do to a line."""
    return [
        Wobble(p=0.4),
        StrokeWidth(p=0.3),
        RuledLine(p=0.2),
        CutOut(p=0.2),
        A.RandomGamma(gamma_limit=(70, 140), p=0.2),
        A.GaussianBlur(blur_limit=(3, 3), p=0.2),
        A.GaussNoise(std_range=(0.01, 0.06), p=0.2),
    ]


AUGMENTS: dict[str, Callable[[], list[A.BasicTransform]]] = {
    "none": list,
    "light": lambda: [LineWarp(slant=0.15, tilt=0.0)],
    "ink": lambda: [LineWarp(), *_ink()],
    "cells": lambda: [LineWarp(), Misplaced(p=0.15), *_ink()],  # a table's, not always cut out where they stand
}


class Augmenter:
    """Runs a named pipeline; each call is seeded, so it repeats exactly."""

    def __init__(self, name: str) -> None:
        """Raises NetchuError for a name that is not in AUGMENTS."""
        if name not in AUGMENTS:
            raise NetchuError(f"augment={name}: no such pipeline; there are: {', '.join(AUGMENTS)}")
        self._pipeline = A.Compose(AUGMENTS[name]())

    def __call__(self, line: Image, seed: int) -> Image:
        """(H, w) -> (H, w')."""
        self._pipeline.set_random_seed(seed)
        output: Image = self._pipeline(image=line)["image"]
        return output if output.ndim == 2 else output[..., 0]

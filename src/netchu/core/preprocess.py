"""One way from an image to the network's input, shared by training, inference, serving and export.

`images.read_image` -> grey uint8 (h, w); `resize` -> uint8 (H, w'); `to_input` -> float32 (1, H, W), W a multiple of
`WIDTH_MULTIPLE`, ink near 1, paper 0. Lines of equal W can share a batch without any padding of one by another,
which is what makes a line's text independent of its neighbours.
"""

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.config import Config
from netchu.core.images import FAINTEST, WRITTEN_SHARE, Image

WIDTH_MULTIPLE = 32
MIN_CONTRAST = 40  # grey levels between paper and ink; a blank line is not stretched beyond this
INK_SHARE = 0.01  # share of pixels at most as light as the level that becomes 1
PAPER_SHARE = 0.95  # share of pixels at most as light as the level that becomes 0
MAX_INK = 1.2  # darker pixels are cut off here
FIXED = {
    "width_multiple": WIDTH_MULTIPLE,
    "min_contrast": MIN_CONTRAST,
    "ink_share": INK_SHARE,
    "paper_share": PAPER_SHARE,
    "max_ink": MAX_INK,
    "faintest": FAINTEST,
    "written_share": WRITTEN_SHARE,
}

Input = NDArray[np.float32]  # (1, H, W)


@dataclass(frozen=True, slots=True)
class Geometry:
    """What preprocessing depends on, in pixels. `stretch`: how many times as wide as its own aspect a line is made."""

    height: int
    max_width: int
    pad: int
    stretch: float = 1.0

    @classmethod
    def of(cls, cfg: Config) -> "Geometry":
        """The geometry of a config."""
        return cls(height=cfg.height, max_width=cfg.max_width, pad=cfg.pad)

    def to_dict(self) -> dict[str, float]:
        """Every number that preprocessing depends on, the fixed ones included: what an exported model carries."""
        return {**asdict(self), **FIXED}

    def resized_width(self, height: int, width: int) -> int:
        """Width of an image (height, width) once it has the geometry's height: its aspect times `stretch`, up to
        `max_width`."""
        return min(max(1, round(width * (self.height / height) * self.stretch)), self.max_width - 2 * self.pad)

    def input_width(self, width: int) -> int:
        """Width of the network's input for a resized line of `width` pixels."""
        return -(-(width + 2 * self.pad) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def resize(image: Image, geometry: Geometry) -> Image:
    """Scale to the geometry's height and `resized_width`: (h, w) -> (H, w')."""
    height, width = image.shape
    target = geometry.resized_width(height, width)
    if (height, width) == (geometry.height, target):
        return image
    method = cv2.INTER_AREA if geometry.height < height else cv2.INTER_LINEAR
    return cv2.resize(image, (target, geometry.height), interpolation=method)  # type: ignore[return-value]


def to_input(line: Image, geometry: Geometry) -> Input:
    """Ink strength of a resized line, padded with paper: (H, w) uint8 -> (1, H, W) float32.

    Grey levels are scaled so that the 95th percentile is paper (0) and the 1st is ink (1).
    """
    counts = np.bincount(line.ravel(), minlength=256).cumsum()
    ink, paper = np.searchsorted(counts, (INK_SHARE * counts[-1], PAPER_SHARE * counts[-1]))
    levels = (float(paper) - np.arange(256, dtype=np.float32)) / max(int(paper) - int(ink), MIN_CONTRAST)
    table = np.clip(levels, 0.0, MAX_INK).astype(np.float32)
    output = np.zeros((1, geometry.height, geometry.input_width(line.shape[1])), dtype=np.float32)
    output[0, :, geometry.pad : geometry.pad + line.shape[1]] = table[line]
    return output


def preprocess(image: Image, geometry: Geometry) -> Input:
    """Grey image of any size to the network's input: (h, w) -> (1, H, W)."""
    return to_input(resize(image, geometry), geometry)

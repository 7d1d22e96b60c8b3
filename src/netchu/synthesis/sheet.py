"""The sheet under the ink: where the line stands on it, and how ink, rules and paper become one grey image."""

from dataclasses import dataclass

import cv2
import numpy as np

from netchu.synthesis import Rng

SCALE = 3  # the pen draws at three times the final size, which gives smooth edges


@dataclass(slots=True)
class Frame:
    """How the camera or scanner cut the line out, in pixels of the final image.

    height: of the image. unit: pixels of one letter size. left: x where the text starts. baseline: y of its baseline.
    """

    height: int
    letters: float  # width of the text in letter sizes
    unit: float
    left: float
    right: float
    baseline: float
    least_width: float = 0.0
    squeeze: float = 1.0

    @property
    def text(self) -> float:
        """Width of the text in pixels."""
        return self.letters * self.unit * self.squeeze

    @property
    def width(self) -> int:
        """Width of the image in pixels."""
        return max(round(max(self.left + self.text + self.right, self.least_width)), self.height // 2)


@dataclass(slots=True)
class Scene:
    """What lies on the paper: every layer is float32 (height, width).

    ink: 0 none .. 1 full. rules: the same for printed lines. paper: 0..255. ink_level, rule_level: grey values.
    """

    frame: Frame
    ink: np.ndarray
    rules: np.ndarray
    paper: np.ndarray
    ink_level: float
    rule_level: float

    def image(self) -> np.ndarray:
        """(height, width) float32: paper under rules under ink."""
        image = self.paper + self.rules * (self.rule_level - self.paper)
        return np.asarray(image + self.ink * (self.ink_level - image))


def soft_field(shape: tuple[int, int], cell: float, rng: Rng) -> np.ndarray:
    """Smooth noise (H, W) float32, about standard normal, whose blobs are `cell` pixels wide."""
    rows, columns = max(2, int(shape[0] / cell) + 2), max(2, int(shape[1] / cell) + 2)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def nib_kernel(width: float, ratio: float, angle: float) -> np.ndarray:
    """(k, k) uint8 mask of a flat round nib: `width` pixels long, `width * ratio` wide, turned by `angle` degrees."""
    size = max(1, int(np.ceil(width)) | 1)
    centre = np.arange(size) - size // 2
    x, y = np.meshgrid(centre, centre)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    along, across = (x * cos + y * sin) / (width / 2), (-x * sin + y * cos) / (width * ratio / 2)
    kernel: np.ndarray = (along**2 + across**2 <= 1.0).astype(np.uint8)
    kernel[size // 2, size // 2] = 1
    return kernel


def draw_paths(
    canvas: np.ndarray, paths: list[np.ndarray], origin: tuple[float, float], unit: tuple[float, float]
) -> None:
    """Draw pen paths one pixel wide into a uint8 canvas; `origin` and `unit` (x, y) are in canvas pixels."""
    if paths:
        stretch, shift = np.array(unit, np.float32) * 16, np.array(origin, np.float32) * 16
        points = np.rint(np.concatenate(paths) * stretch + shift).astype(np.int32)
        stops = np.cumsum([len(path) for path in paths]).tolist()
        scaled = [points[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
        cv2.polylines(canvas, scaled, True, 255, 1, cv2.LINE_8, 4)

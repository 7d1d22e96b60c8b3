"""How lines are cut out and what is printed, smeared or left on the paper: effects on a `Frame` and on a `Scene`."""

from collections.abc import Callable

import cv2
import numpy as np

from netchu.synthesis import Rng
from netchu.synthesis.sheet import Frame, Scene, soft_field


def crop_tight(frame: Frame, rng: Rng) -> None:
    """The crop follows the text: big letters, little room around."""
    frame.unit = frame.height * rng.uniform(0.25, 0.33)
    frame.baseline = frame.height * rng.uniform(0.66, 0.74)
    frame.left, frame.right = rng.uniform(0.02, 0.25, 2) * frame.height


def crop_loose(frame: Frame, rng: Rng) -> None:
    """The crop is too large: small letters somewhere in the middle."""
    frame.unit = frame.height * rng.uniform(0.165, 0.205)
    frame.baseline = frame.height * rng.uniform(0.52, 0.74)
    frame.left = frame.height * rng.uniform(0.1, 1.5)


def fill_cell(frame: Frame, rng: Rng) -> None:
    """The crop is the whole table cell: always about as wide, with the text pressed into it if it is long."""
    cell = frame.height * rng.choice([rng.uniform(12.5, 17.5), 18.0], p=[0.7, 0.3])
    room = cell - frame.left - 0.3 * frame.height
    if frame.text > room:
        excess = room / frame.text
        frame.unit *= max(excess, 0.8) ** 0.5
        frame.squeeze = max(excess, 0.68) ** 0.5
    frame.least_width = cell


def cut_off(frame: Frame, rng: Rng) -> None:
    """The crop slipped: the feet or the heads of some letters are cut away."""
    low = frame.height - 0.02 * frame.unit
    high = 1.75 * frame.unit
    frame.baseline = rng.uniform(low - 0.35 * frame.unit, low) if rng.random() < 0.6 else rng.uniform(high, high * 1.2)


def press(scene: Scene, rng: Rng) -> None:
    """Pressure changes along the line: strokes grow fainter and darker again."""
    field = soft_field(scene.ink.shape, scene.frame.height * rng.uniform(0.3, 1.0), rng)
    scene.ink *= np.clip(1.0 - rng.uniform(0.03, 0.16) * np.abs(field), 0.35, 1.0)


def skip_ink(scene: Scene, rng: Rng) -> None:
    """A ballpoint that skips: fine pale specks inside the strokes."""
    grain = soft_field(scene.ink.shape, rng.uniform(1.0, 2.2), rng)
    scene.ink *= np.clip(1.0 - rng.uniform(0.1, 0.35) * np.maximum(grain, 0.0), 0.2, 1.0)


def bleed(scene: Scene, rng: Rng) -> None:
    """Ink spreads into the paper: softer and slightly fatter strokes."""
    soft = cv2.GaussianBlur(scene.ink, (0, 0), rng.uniform(0.6, 1.1) * scene.frame.height / 64)
    scene.ink = np.maximum(scene.ink, np.minimum(soft * rng.uniform(1.1, 1.4), 1.0))


def _rule(scene: Scene, start: tuple[float, float], end: tuple[float, float], width: float) -> None:
    """Draw one printed line between two (x, y) points, `width` pixels wide."""
    layer = np.zeros(scene.rules.shape, np.uint8)
    points = [tuple(round(v * 16) for v in point) for point in (start, end)]
    cv2.line(layer, points[0], points[1], 255, max(1, round(width)), cv2.LINE_AA, 4)
    fine = layer.astype(np.float32) * (min(width, 1.0) / 255)
    np.maximum(scene.rules, fine, out=scene.rules)


def _row_border(scene: Scene, low: float, high: float, rng: Rng) -> None:
    """A border of the table row, a little askew, between two shares of the height."""
    height, width = scene.rules.shape
    y, slope = rng.uniform(low, high) * height, rng.normal(0.0, 0.02) * height
    _rule(scene, (0, y - slope), (width, y + slope), rng.uniform(0.8, 2.4) * height / 64)


def rule_above(scene: Scene, rng: Rng) -> None:
    """The upper border of the table row."""
    _row_border(scene, -0.02, 0.13, rng)


def rule_below(scene: Scene, rng: Rng) -> None:
    """The lower border of the table row."""
    _row_border(scene, 0.88, 1.0, rng)


def rule_right(scene: Scene, rng: Rng) -> None:
    """The border at the right end of the cell, and the strip of the next cell behind it."""
    height, width = scene.rules.shape
    end = scene.frame.left + scene.frame.text
    x = max(width - rng.uniform(0.1, 1.3) * height, min(end + 0.1 * height, width - 0.1 * height))
    lean = rng.normal(0.0, 0.02) * height
    _rule(scene, (x - lean, 0), (x + lean, height), rng.uniform(0.9, 2.4) * height / 64)
    ramp = np.clip((np.arange(width, dtype=np.float32) - x) / max(width - x, 1.0), 0.0, 1.0)
    lift = rng.choice([0.0, rng.uniform(5, 50)])
    scene.paper += np.float32(lift) * ramp ** np.float32(rng.uniform(0.4, 2.0))


def form_cell(scene: Scene, rng: Rng) -> None:
    """A cell of one printed form, as a phone sees it: light grey paper, dark borders at three edges, the next cell."""
    height, width = scene.rules.shape
    scale = height / 64
    scene.paper += np.float32(np.clip(rng.normal(206, 5), 190, 222)) - scene.paper.mean()
    scene.rules[:] = 0.0
    scene.rule_level = float(rng.uniform(20, 50))
    scene.ink_level = min(scene.ink_level, float(rng.uniform(30, 100)))
    end = scene.frame.left + scene.frame.text
    x = max(width - rng.uniform(20, 105) * scale, min(end + 2 * scale, width - 3 * scale))
    slope, lean, nib = rng.normal(0.0, 1.0) * scale, rng.normal(0.0, 0.7) * scale, rng.uniform(1.2, 2.4) * scale
    top, bottom = rng.uniform(-1.0, 2.5) * scale, height - rng.uniform(0.0, 2.0) * scale
    _rule(scene, (0, top - slope), (width, top + slope), nib)
    _rule(scene, (0, bottom - slope), (width, bottom + slope), nib)
    _rule(scene, (x - lean, 0), (x + lean, height), nib)
    scene.paper[:, min(width - 1, round(x)) :] -= np.float32(rng.choice([rng.uniform(-15, 10), rng.uniform(10, 60)]))


def tint_paper(scene: Scene, rng: Rng) -> None:
    """Paper between dim grey and white instead of the usual light grey."""
    level = rng.uniform(150, 254) if rng.random() < 0.25 else np.clip(rng.normal(206, 9), 180, 240)
    scene.paper += np.float32(level) - scene.paper.mean()


def shade(scene: Scene, rng: Rng) -> None:
    """Light falls off across the sheet."""
    height, width = scene.paper.shape
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    fall = (
        rng.normal(0.0, 9.0) * x + rng.normal(0.0, 4.0) * y + rng.normal(0.0, 4.0) * np.sin(3 * x + rng.uniform(0, 6))
    )
    scene.paper += fall.astype(np.float32)


def fibre(scene: Scene, rng: Rng) -> None:
    """The grain of the paper."""
    shape = scene.paper.shape
    scene.paper += rng.uniform(0.5, 2.5) * soft_field(shape, 2.0, rng) + rng.uniform(0.0, 1.0) * soft_field(
        shape, 9.0, rng
    )


FRAME: dict[str, Callable[[Frame, Rng], None]] = {
    effect.__name__: effect for effect in (crop_loose, crop_tight, fill_cell, cut_off)
}

SHEET: dict[str, Callable[[Scene, Rng], None]] = {
    effect.__name__: effect
    for effect in (press, skip_ink, bleed, tint_paper, rule_above, rule_below, rule_right, form_cell, shade, fibre)
}

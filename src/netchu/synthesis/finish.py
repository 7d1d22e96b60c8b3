"""The last steps to a picture, for drawn ink and for ink lifted from real lines alike: paper, rules, camera."""

from collections.abc import Mapping

import numpy as np

from netchu.synthesis import Rng
from netchu.synthesis.camera_effects import CAMERA
from netchu.synthesis.effects import apply
from netchu.synthesis.sheet import Frame, Scene
from netchu.synthesis.sheet_effects import SHEET


def finish(frame: Frame, ink: np.ndarray, paleness: float, effects: Mapping[str, float], rng: Rng) -> np.ndarray:
    """Lay ink, float32 (height, W) from 0 to 1, on paper and photograph it; returns uint8 (height, W).

    paleness: 0 black ink .. 1 as pale as the paper. effects: a checked table, of which the sheet's and the camera's
    effects are used.
    """
    level = float(rng.uniform(224, 232))
    shade = float(np.clip(paleness + rng.normal(0, 0.05), 0.0, 0.75))
    scene = Scene(
        frame=frame,
        ink=ink,
        rules=np.zeros_like(ink),
        paper=np.full_like(ink, level),
        ink_level=25 + shade * level * 0.85,
        rule_level=float(rng.uniform(20, 90)),
    )
    apply(SHEET, scene, effects, rng)
    image = scene.image()
    for name, camera in CAMERA.items():
        if rng.random() < effects[name]:
            image = camera(image, rng)
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)

"""One table of every effect with the probability that a line gets it.

`EFFECTS` is what pretraining uses; `CLEAN_EFFECTS` keeps the hand and leaves paper and camera almost out of it.
Each name is the name of one function in hand_effects, sheet_effects, camera_effects or written_effects.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from netchu.core.errors import NetchuError, closest
from netchu.synthesis import Rng
from netchu.synthesis.camera_effects import CAMERA
from netchu.synthesis.hand_effects import HAND, STROKES
from netchu.synthesis.sheet_effects import FRAME, SHEET
from netchu.synthesis.written_effects import WRITTEN

EFFECTS: dict[str, float] = {
    # the hand
    "wander_size": 0.8,
    "wander_slant": 0.8,
    "wander_spacing": 0.9,
    "squeeze_end": 0.08,
    "jitter_glyphs": 0.95,
    "drift_marks": 0.9,
    "vary_shapes": 0.95,
    "wander_baseline": 0.9,
    "warp_line": 0.7,
    "hurry": 0.45,
    "join_letters": 0.75,
    "tremble": 0.12,
    # the crop
    "crop_loose": 0.12,
    "crop_tight": 0.4,
    "fill_cell": 0.65,
    "cut_off": 0.04,
    # other writing
    "strike_word": 0.03,
    "line_above": 0.25,
    "line_below": 0.2,
    "vary_nib": 0.5,
    # ink and paper
    "press": 0.6,
    "skip_ink": 0.4,
    "bleed": 0.2,
    "tint_paper": 0.6,
    "rule_above": 0.5,
    "rule_below": 0.5,
    "rule_right": 0.45,
    "form_cell": 0.5,
    "shade": 0.6,
    "fibre": 0.8,
    # the camera
    "blotch": 0.15,
    "tilt": 0.5,
    "defocus": 0.4,
    "shake": 0.08,
    "shrink": 0.2,
    "sharpen": 0.2,
    "bleach": 0.1,
    "grain": 0.5,
    "jpeg": 0.35,
}

CLEAN_EFFECTS: dict[str, float] = {
    "wander_size": 0.5,
    "wander_slant": 0.5,
    "wander_spacing": 0.5,
    "jitter_glyphs": 0.8,
    "drift_marks": 0.5,
    "vary_shapes": 0.8,
    "wander_baseline": 0.5,
    "crop_tight": 1.0,
    "press": 0.5,
    "tint_paper": 0.5,
    "fibre": 0.5,
    "defocus": 0.3,
}

Thing = TypeVar("Thing")

PRESETS: dict[str, dict[str, float]] = {"full": EFFECTS, "clean": CLEAN_EFFECTS}

NAMES = frozenset({"strike_word", *HAND, *STROKES, *FRAME, *WRITTEN, *SHEET, *CAMERA})


def check_effects(effects: Mapping[str, float]) -> dict[str, float]:
    """A copy of the table with every effect, 0 for those not named. Raises NetchuError for a bad name or number."""
    for name, probability in effects.items():
        if name not in NAMES:
            raise NetchuError(f"effect {name!r}: unknown{closest(name, NAMES)}")
        if not 0.0 <= probability <= 1.0:
            raise NetchuError(f"effect {name!r}: probability {probability} is not between 0 and 1")
    return {name: float(effects.get(name, 0.0)) for name in sorted(NAMES)}


def apply(
    table: Mapping[str, Callable[[Thing, Rng], None]], thing: Thing, effects: Mapping[str, float], rng: Rng
) -> None:
    """Apply each effect of a table with its probability in `effects`."""
    for name, effect in table.items():
        if rng.random() < effects[name]:
            effect(thing, rng)

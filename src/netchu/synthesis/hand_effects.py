"""What a hand does differently each time: effects on a `Sketch`, and on its pen paths. Lengths in letter sizes."""

from collections.abc import Callable

import numpy as np

from netchu.synthesis import Rng
from netchu.synthesis.sketch import Paths, Sketch


def _by_word(sketch: Sketch, spread: float, rng: Rng) -> np.ndarray:
    """(G,) normal numbers of this spread, the same for all glyphs of a word."""
    return np.asarray(rng.normal(0.0, spread, int(sketch.word.max()) + 1)[sketch.word])


def wander_baseline(sketch: Sketch, rng: Rng) -> None:
    """The line climbs, sinks or waves, and each word starts a little off it."""
    x = sketch.starts()
    slope = rng.normal(0.0, 0.008)
    wave = rng.uniform(0.0, 0.16) * np.sin(x * rng.uniform(0.08, 0.3) + rng.uniform(0, 6.3))
    words = _by_word(sketch, 0.07 + 0.06 * sketch.carelessness, rng).astype(np.float32)
    sketch.rise += (slope * (x - x.mean()) + wave).astype(np.float32) + words


def wander_size(sketch: Sketch, rng: Rng) -> None:
    """Words differ in size, and the line grows or shrinks towards its end."""
    words = np.exp(_by_word(sketch, 0.05 + 0.03 * sketch.carelessness, rng)).astype(np.float32)
    drift = np.exp(np.linspace(0.0, rng.normal(0.0, 0.12), len(sketch.word)))
    sketch.size *= words * drift.astype(np.float32)


def wander_slant(sketch: Sketch, rng: Rng) -> None:
    """Each word leans differently."""
    sketch.slant += _by_word(sketch, 0.05 + 0.04 * sketch.carelessness, rng).astype(np.float32)


def wander_spacing(sketch: Sketch, rng: Rng) -> None:
    """Gaps between words and letters vary; now and then two words nearly touch."""
    first = np.diff(sketch.word, prepend=0) > 0
    factors = np.exp(rng.normal(0.0, 0.3, len(sketch.word)))
    factors[rng.random(len(factors)) < 0.04] *= 0.35
    sketch.gap = np.where(first, sketch.gap * factors, sketch.gap + rng.normal(0.0, 0.035, len(factors)))
    sketch.gap = sketch.gap.astype(np.float32)


def jitter_glyphs(sketch: Sketch, rng: Rng) -> None:
    """Every letter is a little off in height, size, lean and turn."""
    wobble = 0.4 + 0.8 * sketch.carelessness
    count = len(sketch.word)
    sketch.rise += rng.normal(0.0, 0.05 * wobble, count).astype(np.float32)
    sketch.size *= np.exp(rng.normal(0.0, 0.06 * wobble, count)).astype(np.float32)
    sketch.stretch *= np.exp(rng.normal(0.0, 0.08 * wobble, count)).astype(np.float32)
    sketch.slant += rng.normal(0.0, 0.06 * wobble, count).astype(np.float32)
    sketch.turn += rng.normal(0.0, 0.035 * wobble, count).astype(np.float32)


def drift_marks(sketch: Sketch, rng: Rng) -> None:
    """Tones and dots land beside where they belong: to the right rather than the left, farther rather than nearer."""
    wobble = 0.5 + 0.8 * sketch.carelessness
    shift = rng.normal([0.04, 0.04], [0.11 * wobble, 0.07 * wobble], sketch.marks.shape)
    sketch.shift_marks(shift.clip([-0.25, -0.03], [0.4, 0.25]))


def vary_shapes(sketch: Sketch, rng: Rng) -> None:
    """The same letter bends a little differently each time."""
    bends = rng.normal(0.0, 0.35 + 0.5 * sketch.carelessness, sketch.habits.shape)
    sketch.habits = sketch.habits + bends.astype(np.float32)


def squeeze_end(sketch: Sketch, rng: Rng) -> None:
    """The writer runs out of room: the last part gets narrower and closer."""
    place = np.linspace(0.0, 1.0, len(sketch.word))
    tight = 1.0 - rng.uniform(0.15, 0.35) * np.clip((place - rng.uniform(0.4, 0.7)) * 3, 0, 1)
    sketch.stretch *= tight.astype(np.float32)
    sketch.gap *= tight.astype(np.float32) ** 2


def warp_line(paths: Paths, rng: Rng) -> None:
    """Slow bends along the whole line, as a moving hand makes (a smooth form of text-image augmentation)."""
    x, y = paths.points[:, 0], paths.points[:, 1]
    for _ in range(2):
        pace, phase = rng.uniform(0.25, 1.1), rng.uniform(0, 6.3, 2)
        paths.points[:, 0] = x + rng.normal(0.0, 0.12) * np.sin(pace * x + 1.1 * y + phase[0])
        paths.points[:, 1] = y * (1.0 + rng.normal(0.0, 0.07) * np.sin(pace * x + phase[1]))
        x, y = paths.points[:, 0], paths.points[:, 1]


def hurry(paths: Paths, rng: Rng) -> None:
    """Fast writing: corners and small hooks of the letters round off; marks keep their form."""
    stop = np.cumsum(paths.lengths)
    before, after = np.arange(len(paths.points)) - 1, np.arange(len(paths.points)) + 1
    before[stop - paths.lengths], after[stop - 1] = stop - 1, stop - paths.lengths
    weight = np.where(paths.body, rng.uniform(0.3, 0.6), 0.0).astype(np.float32)[:, None]
    for _ in range(int(rng.integers(1, 4))):
        middle = 0.5 * (paths.points[before] + paths.points[after])
        paths.points = paths.points + weight * (middle - paths.points)


def join_letters(paths: Paths, rng: Rng) -> None:
    """Small letters of a word are joined by a stroke from the foot of one to the side of the next."""
    count = len(paths.word)
    if paths.joining <= 0 or count < 2:
        return
    pairs = np.flatnonzero((paths.word[1:] == paths.word[:-1]) & paths.small[1:] & paths.small[:-1])
    wanted = set(pairs[rng.random(len(pairs)) < paths.joining].tolist())
    starts = np.searchsorted(paths.glyph, np.arange(count + 1))
    bends = rng.normal(0.06, 0.05, count)
    strokes, owners = [], []
    for left in sorted(wanted):
        here = paths.points[starts[left] : starts[left + 1]][paths.body[starts[left] : starts[left + 1]]]
        there = paths.points[starts[left + 1] : starts[left + 2]][paths.body[starts[left + 1] : starts[left + 2]]]
        here = here[(here[:, 1] > here[:, 1].max() - 0.55) & (here[:, 1] < 0.3)] if len(here) else here
        there = there[there[:, 1] > -0.85] if len(there) else there
        if not len(here) or not len(there):
            continue
        out, into = here[here[:, 0].argmax()], there[there[:, 0].argmin()]
        if -0.05 < into[0] - out[0] < 0.5 and into[1] < out[1] + 0.25:
            middle = (out + into) / 2 + np.array([0.0, bends[left]], np.float32)
            strokes.append(np.stack([out, middle, into, middle]).astype(np.float32))
            owners.append(left)
    paths.add(strokes, owners)


def tremble(paths: Paths, rng: Rng) -> None:
    """A shaky pen: quick small waves in both directions."""
    x, y = paths.points[:, 0].copy(), paths.points[:, 1].copy()
    strength, pace = rng.uniform(0.008, 0.022, 2), rng.uniform(7.0, 14.0, 2)
    paths.points[:, 0] += (strength[0] * np.sin(pace[0] * y + 3.1 * x + rng.uniform(0, 6.3))).astype(np.float32)
    paths.points[:, 1] += (strength[1] * np.sin(pace[1] * x + 2.3 * y + rng.uniform(0, 6.3))).astype(np.float32)


HAND: dict[str, Callable[[Sketch, Rng], None]] = {
    effect.__name__: effect
    for effect in (
        wander_size, wander_slant, wander_spacing, squeeze_end, jitter_glyphs, drift_marks, vary_shapes, wander_baseline
    )
}  # fmt: skip

STROKES: dict[str, Callable[[Paths, Rng], None]] = {
    effect.__name__: effect for effect in (warp_line, hurry, join_letters, tremble)
}

"""Writes a text as a handwritten line image. `Renderer` is all that other modules need.

The way from text to picture: words -> `compose` (a sketch) -> hand effects -> pen paths -> stroke effects ->
a frame -> the pen draws at three times the size -> ink, rules and paper -> camera -> uint8.
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.synthesis import Rng
from netchu.synthesis.effects import EFFECTS, apply, check_effects
from netchu.synthesis.finish import finish
from netchu.synthesis.fonts import font_name
from netchu.synthesis.glyphs import GlyphBook
from netchu.synthesis.hand_effects import HAND, STROKES
from netchu.synthesis.sheet import SCALE, Frame, draw_paths, nib_kernel, soft_field
from netchu.synthesis.sheet_effects import FRAME
from netchu.synthesis.sketch import Paths, Sketch, compose, make_paths
from netchu.synthesis.writers import Writer, capitals_face, make_writer, take_turns
from netchu.synthesis.written_effects import WRITTEN, Desk, strike_word

Books = tuple[GlyphBook, GlyphBook]  # of small letters and marks, of capitals and digits


class Renderer:
    """Renders lines of one height with a set of faces and a table of effects (`None`: the full `EFFECTS`)."""

    def __init__(self, fonts: list[Path], height: int = 64, effects: Mapping[str, float] | None = None) -> None:
        if not fonts:
            raise NetchuError("no fonts: give at least one complete face")
        if not 16 <= height <= 512:
            raise NetchuError(f"height {height}: not between 16 and 512 pixels")
        self.height = height
        self.effects = check_effects(EFFECTS if effects is None else effects)
        self._books = {font_name(path): GlyphBook(path) for path in fonts}

    @property
    def faces(self) -> list[str]:
        """Names of the faces, in the order given."""
        return list(self._books)

    def render(self, text: str, rng: Rng, writer: str | None = None) -> np.ndarray:
        """One line as uint8 (height, W), dark ink on light paper; an empty text gives a line without writing.

        `writer` is a name such as patrickhand-0042 and fixes the hand; without it a new one is made up. Raises
        NetchuError for a writer whose face was not given.
        """
        if writer is None:
            writer = f"{rng.choice(take_turns(self.faces))}-{rng.integers(10_000, 1_000_000_000):04d}"
        hand = make_writer(writer)
        if hand.face not in self._books:
            raise NetchuError(f"writer {writer!r}: no face {hand.face!r} among {', '.join(self.faces)}")
        books = self._books[hand.face], self._books[capitals_face(hand, self.faces)]
        words, struck = normalise(text).split(), -1
        if rng.random() < self.effects["strike_word"]:
            words, struck = strike_word(words, rng)
        sketch, paths = self._write(words, hand, books, rng)
        frame = self._frame(sketch, paths, hand, rng)
        lines = [*paths.split(), *_strikes(sketch, paths, struck, rng)]
        ink = self._draw(lines, words, frame, hand, books, rng)
        return finish(frame, ink, hand.ink, self.effects, rng)

    def _write(self, words: list[str], hand: Writer, books: Books, rng: Rng) -> tuple[Sketch, Paths]:
        """Lay out words and bend them; the paths' origin is the start of the line on its baseline."""
        sketch = compose(words, hand, *books)
        if sketch.glyphs:
            apply(HAND, sketch, self.effects, rng)
        paths = make_paths(sketch)
        if sketch.glyphs:
            apply(STROKES, paths, self.effects, rng)
        return sketch, paths

    def _frame(self, sketch: Sketch, paths: Paths, hand: Writer, rng: Rng) -> Frame:
        """Where the text stands in the picture; the text is shifted so that its leftmost point is at x = 0."""
        height = self.height
        letters = 0.0
        if len(paths.points):
            paths.points[:, 0] -= paths.points[:, 0].min()
            letters = float(paths.points[:, 0].max())
        frame = Frame(
            height=height,
            letters=letters,
            unit=height * rng.uniform(0.2, 0.27),
            left=height * rng.uniform(0.05, 0.6),
            right=height * rng.uniform(0.05, 0.6),
            baseline=height * rng.uniform(0.6, 0.74),
        )
        if not sketch.glyphs:
            frame.least_width = height * rng.uniform(4, 16)
        apply(FRAME, frame, self.effects, rng)
        frame.unit *= hand.size
        return frame

    def _draw(
        self, lines: list[np.ndarray], words: list[str], frame: Frame, hand: Writer, books: Books, rng: Rng
    ) -> np.ndarray:
        """The ink of pen paths and of what else is written, float32 (height, width), 0..1."""
        canvas = np.zeros((frame.height * SCALE, frame.width * SCALE), np.uint8)
        unit = (frame.unit * SCALE * frame.squeeze, frame.unit * SCALE)

        def put(lines: list[np.ndarray], x: float, y: float) -> None:
            draw_paths(canvas, lines, (x * SCALE, y * SCALE), unit)

        def write(words: list[str], x: float, y: float) -> None:
            put(self._write(words, hand, books, rng)[1].split(), x, y)

        def spread(nib: float) -> np.ndarray:
            inked = cv2.dilate(canvas, nib_kernel(nib, hand.nib_ratio, hand.nib_angle))
            return cv2.resize(inked, (frame.width, frame.height), interpolation=cv2.INTER_AREA).astype(np.float32)

        put(lines, frame.left, frame.baseline)
        desk = Desk(words, frame, write)
        apply(WRITTEN, desk, self.effects, rng)
        nib = hand.nib * frame.height / 64 * SCALE * float(np.clip(frame.unit / (0.23 * frame.height), 0.75, 1.2))
        ink = spread(nib)
        if desk.thick:
            mix = np.clip(0.5 + soft_field(ink.shape, frame.unit * 0.9, rng), 0.0, 1.0)
            ink = ink + mix * (spread(nib + desk.thick * SCALE * frame.height / 64) - ink)
        return ink / np.float32(255)


def _strikes(sketch: Sketch, paths: Paths, struck: int, rng: Rng) -> list[np.ndarray]:
    """Pen paths that cross out word `struck`, if there is one: one to three strokes, or a quick zigzag."""
    points = paths.points[sketch.word[paths.glyph] == struck]
    if not len(points):
        return []
    left, right = points[:, 0].min() - 0.1, points[:, 0].max() + 0.1
    if rng.random() < 0.4:
        x = np.linspace(left, right, int(rng.integers(6, 14)))
        y = -0.5 + 0.5 * np.where(np.arange(len(x)) % 2, 1, -1) + rng.normal(0, 0.1, len(x))
        stroke = np.stack([x, y], axis=1)
        return [np.concatenate([stroke, stroke[::-1]]).astype(np.float32)]
    lines = []
    for _ in range(int(rng.integers(1, 4))):
        y0, y1 = rng.uniform(-0.75, -0.25, 2)
        middle = [(left + right) / 2, (y0 + y1) / 2 + rng.normal(0, 0.1)]
        lines.append(np.array([[left, y0], middle, [right, y1], middle], np.float32))
    return lines

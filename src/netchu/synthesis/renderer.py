"""Writes a text as a handwritten line image. `Renderer` is all that other modules need.

The way from text to picture: words -> `compose` (a sketch) -> hand effects -> pen paths -> stroke effects ->
a frame -> the pen draws at three times the size -> ink, rules and paper -> camera -> uint8.
"""

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from netchu.core.errors import NetchuError
from netchu.synthesis.effects import CLEAN_EFFECTS, EFFECTS, check_effects
from netchu.synthesis.finish import finish
from netchu.synthesis.fonts import font_name
from netchu.synthesis.glyphs import GlyphBook
from netchu.synthesis.hand_effects import HAND, STROKES
from netchu.synthesis.sheet import SCALE, Frame, draw_paths, nib_kernel, soft_field
from netchu.synthesis.sheet_effects import FRAME
from netchu.synthesis.sketch import Paths, Sketch, compose, make_paths
from netchu.synthesis.writers import Writer, capitals_face, make_writer, take_turns
from netchu.synthesis.written_effects import WRITTEN, Desk

__all__ = ["CLEAN_EFFECTS", "EFFECTS", "Renderer"]

Thing = TypeVar("Thing")


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

    def render(self, text: str, rng: np.random.Generator, writer: str | None = None) -> np.ndarray:
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
        desk = Desk(unicodedata.normalize("NFC", text).split())
        self._run({"strike_word": WRITTEN["strike_word"]}, desk, rng)
        sketch, paths = self._write(desk.words, hand, books, rng)
        frame = self._frame(sketch, paths, hand, rng)
        ink = self._draw(desk, sketch, paths, frame, hand, books, rng)
        return finish(frame, ink, hand.ink, self.effects, rng)

    def _run(
        self, table: Mapping[str, Callable[[Thing, np.random.Generator], None]], thing: Thing, rng: np.random.Generator
    ) -> None:
        """Apply each effect of a table with its probability."""
        for name, effect in table.items():
            if rng.random() < self.effects[name]:
                effect(thing, rng)

    def _write(
        self, words: list[str], hand: Writer, books: tuple[GlyphBook, GlyphBook], rng: np.random.Generator
    ) -> tuple[Sketch, Paths]:
        """Lay out words and bend them; the paths' origin is the start of the line on its baseline."""
        sketch = compose(words, hand, *books)
        if sketch.glyphs:
            self._run(HAND, sketch, rng)
        paths = make_paths(sketch)
        if sketch.glyphs:
            self._run(STROKES, paths, rng)
        return sketch, paths

    def _frame(self, sketch: Sketch, paths: Paths, hand: Writer, rng: np.random.Generator) -> Frame:
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
        self._run(FRAME, frame, rng)
        frame.unit *= hand.size
        return frame

    def _draw(
        self,
        desk: Desk,
        sketch: Sketch,
        paths: Paths,
        frame: Frame,
        hand: Writer,
        books: tuple[GlyphBook, GlyphBook],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The ink, float32 (height, width), 0..1."""
        canvas = np.zeros((frame.height * SCALE, frame.width * SCALE), np.uint8)
        unit = (frame.unit * SCALE * frame.squeeze, frame.unit * SCALE)

        def put(lines: list[np.ndarray], x: float, y: float) -> None:
            draw_paths(canvas, lines, (x * SCALE, y * SCALE), unit)

        def write(words: list[str], x: float, y: float) -> None:
            put(self._write(words, hand, books, rng)[1].split(), x, y)

        put(paths.split(), frame.left, frame.baseline)
        put(_strikes(sketch, paths, desk.struck, rng), frame.left, frame.baseline)
        desk.frame, desk.write = frame, write
        self._run({name: effect for name, effect in WRITTEN.items() if name != "strike_word"}, desk, rng)
        nib = hand.nib * frame.height / 64 * SCALE * float(np.clip(frame.unit / (0.23 * frame.height), 0.75, 1.2))
        ink = cv2.dilate(canvas, nib_kernel(nib, hand.nib_ratio, hand.nib_angle))
        if desk.thick:
            heavy = cv2.dilate(
                canvas, nib_kernel(nib + desk.thick * SCALE * frame.height / 64, hand.nib_ratio, hand.nib_angle)
            )
            size = (frame.width, frame.height)
            light, dark = (
                cv2.resize(layer, size, interpolation=cv2.INTER_AREA).astype(np.float32) for layer in (ink, heavy)
            )
            mix = np.clip(0.5 + soft_field(light.shape, frame.unit * 0.9, rng), 0.0, 1.0)
            return (light + mix * (dark - light)) / np.float32(255)
        return cv2.resize(ink, (frame.width, frame.height), interpolation=cv2.INTER_AREA).astype(
            np.float32
        ) / np.float32(255)


def _strikes(sketch: Sketch, paths: Paths, struck: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Pen paths that cross out words: one to three strokes, or a quick zigzag."""
    lines: list[np.ndarray] = []
    for word in struck:
        points = paths.points[sketch.word[paths.glyph] == word]
        if not len(points):
            continue
        left, right = points[:, 0].min() - 0.1, points[:, 0].max() + 0.1
        if rng.random() < 0.4:
            x = np.linspace(left, right, int(rng.integers(6, 14)))
            y = -0.5 + 0.5 * np.where(np.arange(len(x)) % 2, 1, -1) + rng.normal(0, 0.1, len(x))
            stroke = np.stack([x, y], axis=1)
            lines.append(np.concatenate([stroke, stroke[::-1]]).astype(np.float32))
            continue
        for _ in range(int(rng.integers(1, 4))):
            y0, y1 = rng.uniform(-0.75, -0.25, 2)
            lines.append(
                np.array(
                    [[left, y0], [(left + right) / 2, (y0 + y1) / 2 + rng.normal(0, 0.1)], [right, y1]], np.float32
                )
            )
            lines[-1] = np.concatenate([lines[-1], lines[-1][1:2]])
    return lines

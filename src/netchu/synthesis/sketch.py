"""Lays out the pen paths of one line, with the wobbles of a hand. Lengths in letter sizes, baseline at y = 0.

A `Sketch` holds one number of each kind a glyph; the hand effects change those numbers before `make_paths`
turns them into points, and the stroke effects bend the points. No effect loops over points.
"""

from dataclasses import dataclass

import numpy as np

from netchu.synthesis.glyphs import Glyph, GlyphBook
from netchu.synthesis.writers import HABITS, Writer


@dataclass(slots=True)
class Sketch:
    """A line of G glyphs in W words before it is drawn; every array is (G,) float32 unless said otherwise."""

    glyphs: list[Glyph]
    word: np.ndarray  # (G,) int: index of the word that a glyph belongs to
    gap: np.ndarray  # room before the glyph, beyond the last one's advance: kerning, letter gap, spaces
    size: np.ndarray
    stretch: np.ndarray  # horizontal factor on top of size
    slant: np.ndarray
    turn: np.ndarray  # radians
    rise: np.ndarray  # downwards shift of the baseline
    marks: np.ndarray  # (parts, 2): shift of each part; bodies stay at zero
    below: np.ndarray  # (parts,) bool: parts under the baseline
    habits: np.ndarray  # (G, HABITS)
    small: np.ndarray  # (G,) bool: small letters
    carelessness: float
    joining: float

    @property
    def part_start(self) -> np.ndarray:
        """(G,) int: index in `marks` of each glyph's body."""
        counts = np.array([len(glyph.below) for glyph in self.glyphs], int)
        return np.concatenate([[0], np.cumsum(counts)])[:-1].astype(int)

    def starts(self) -> np.ndarray:
        """(G,) x of each glyph's origin, the first at its gap."""
        advance = np.array([glyph.advance for glyph in self.glyphs], np.float32) * self.size * self.stretch
        return np.asarray(np.cumsum(self.gap) + np.concatenate([[0.0], np.cumsum(advance)[:-1]]))

    def shift_marks(self, shift: np.ndarray) -> None:
        """Move marks by (parts, 2): right, and away from their letter; bodies stay where they are."""
        away = np.where(self.below, shift[:, 1], -shift[:, 1])
        moved = np.stack([shift[:, 0], away], axis=1).astype(np.float32)
        moved[self.part_start] = 0
        self.marks += moved


@dataclass(slots=True)
class Paths:
    """Closed pen paths of G glyphs.

    points: (P, 2) float32. lengths: points in each path. glyph: (P,) the glyph that each point belongs to. body: (P,)
    bool, False for marks. word: (G,) the word of each glyph. small: (G,) bool, small letters. joining: how often the
    writer joins two small letters.
    """

    points: np.ndarray
    lengths: np.ndarray
    glyph: np.ndarray
    body: np.ndarray
    word: np.ndarray
    small: np.ndarray
    joining: float

    def split(self) -> list[np.ndarray]:
        """The paths one by one, each (n, 2) float32."""
        return np.split(self.points, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []

    def add(self, paths: list[np.ndarray], glyphs: list[int]) -> None:
        """Add closed paths, each (n, 2), as bodies of the given glyphs."""
        if paths:
            lengths = np.array([len(path) for path in paths])
            self.points = np.concatenate([self.points, *paths]).astype(np.float32)
            self.lengths = np.concatenate([self.lengths, lengths])
            self.glyph = np.concatenate([self.glyph, np.repeat(glyphs, lengths)])
            self.body = np.concatenate([self.body, np.ones(lengths.sum(), bool)])


def compose(words: list[str], writer: Writer, book: GlyphBook, capitals: GlyphBook) -> Sketch:
    """Set `words` side by side in the writer's fixed style, with no random wobble yet.

    Small letters and marks come from `book`, capitals and digits from `capitals`, which may be the same.
    """
    glyphs: list[Glyph] = []
    word, gap, habits = [], [], []
    before, previous = "", book
    for index, text in enumerate(words):
        for char in text:
            own = capitals if char.isupper() or char.isdigit() else book
            glyphs.append(own.glyph(char))
            word.append(index)
            habits.append(writer.habit(char))
            if not before:
                gap.append(writer.word_gap if index else 0.0)
            else:
                kerning = own.kerning(before, char) if own is previous else 0.0
                gap.append(kerning * writer.width + writer.letter_gap)
            before, previous = char, own
        before = ""
    count, below = len(glyphs), [low for glyph in glyphs for low in glyph.below]
    sketch = Sketch(
        glyphs=glyphs,
        word=np.array(word, int),
        gap=np.array(gap, np.float32),
        size=np.ones(count, np.float32),
        stretch=np.full(count, writer.width, np.float32),
        slant=np.full(count, writer.slant, np.float32),
        turn=np.zeros(count, np.float32),
        rise=np.zeros(count, np.float32),
        marks=np.zeros((len(below), 2), np.float32),
        below=np.array(below, bool),
        habits=np.array(habits, np.float32).reshape(count, HABITS),
        small=np.array([char.islower() for text in words for char in text], bool),
        carelessness=writer.carelessness,
        joining=writer.joining,
    )
    sketch.shift_marks(np.tile(writer.marks, (len(sketch.marks), 1)))
    return sketch


def make_paths(sketch: Sketch) -> Paths:
    """The points of a sketch: every glyph bent by its habits, then slanted, turned, scaled and put in its place."""
    glyphs = sketch.glyphs
    if not glyphs:
        none = np.zeros(0, int)
        return Paths(np.zeros((0, 2), np.float32), none, none, none > 0, none, none > 0, 0.0)
    counts = np.array([len(glyph.points) for glyph in glyphs])
    owner = np.repeat(np.arange(len(glyphs)), counts)
    points = np.concatenate([glyph.points for glyph in glyphs])
    part = np.concatenate([glyph.part for glyph in glyphs])
    parts = part + sketch.part_start[owner]
    points = points + sketch.marks[parts]
    points += bend(points, sketch.habits[owner])
    x, y = points[:, 0] * sketch.stretch[owner], points[:, 1]
    x = x - y * sketch.slant[owner]
    cos, sin = np.cos(sketch.turn[owner]), np.sin(sketch.turn[owner])
    x, y = x * cos - y * sin, x * sin + y * cos
    size = sketch.size[owner]
    placed = np.stack([x * size + sketch.starts()[owner], y * size + sketch.rise[owner]], axis=1)
    lengths = np.concatenate([np.array(glyph.lengths, int) for glyph in glyphs])
    return Paths(placed.astype(np.float32), lengths, owner, part == 0, sketch.word, sketch.small, sketch.joining)


def bend(points: np.ndarray, habits: np.ndarray) -> np.ndarray:
    """(P, 2) displacement of glyph points by their character's (P, HABITS) habits: two slow waves and a lean."""
    x, y = points[:, 0], points[:, 1]
    across = 0.055 * habits[:, 0] * np.sin(2.6 * y + 1.7 * habits[:, 1]) + 0.05 * habits[:, 2] * y
    down = 0.05 * habits[:, 3] * np.sin(2.9 * x + 1.7 * habits[:, 4]) + 0.06 * habits[:, 5] * np.minimum(y, 0.4)
    return np.stack([across + 0.04 * habits[:, 6] * x, down], axis=1).astype(np.float32)

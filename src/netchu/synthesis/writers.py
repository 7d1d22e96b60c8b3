"""Made-up writers: one face and one fixed way of using a pen, all decided by the writer's name.

A name is `<face>-<number>`, such as `patrickhand-0042`; the same name gives the same hand wherever the same
faces are at hand.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from netchu.core.errors import NetchuError
from netchu.synthesis.fonts import REQUIRED

# Faces with flourished capitals, which few people write.
ORNATE = frozenset({"allison", "corinthia", "ephesis", "inspiration", "kolkerbrush", "meowscript", "mysoul"})
ORNATE |= {"dancingscript", "fuggles", "hurricane", "qwitchergrypen", "waterfall", "whisper"}
BORROWING = 0.8  # share of the writers with such a face who make plain capitals
INKS = ((0.0, 0.2), (0.2, 0.5), (0.5, 0.68))  # ballpoint, worn ballpoint, pencil
HABITS = 8  # numbers that describe how a writer bends one character
_NAME = re.compile(r"([a-z0-9]+)-(\d{4,})")
_ROW = {char: row for row, char in enumerate(REQUIRED)}


@dataclass(frozen=True, slots=True)
class Writer:
    """One made-up hand. Lengths are in letter sizes (units) unless they say otherwise.

    slant: shear, x per y. width: horizontal stretch. size: factor on the letter size that the crop asks for.
    letter_gap, word_gap: extra room after a letter, and the width of a space. nib: pen width in 1/64 of the line's
    height. nib_ratio, nib_angle: flatness (1 = round) and turn in degrees of the nib. ink: 0 (black) to 1 (paper).
    carelessness: 0 careful .. 1 careless, scales every random wobble. joining: how often small letters are joined.
    borrows: below BORROWING, capitals and digits come from a plain face, chosen by this number among those given.
    marks: (2,), how far right of their letters, and away from them, the tones stand. habits: (characters, HABITS)
    standard normal, bends the same character in the same way each time.
    """

    face: str
    slant: float
    width: float
    size: float
    letter_gap: float
    word_gap: float
    nib: float
    nib_ratio: float
    nib_angle: float
    ink: float
    carelessness: float
    joining: float
    borrows: float
    marks: np.ndarray
    habits: np.ndarray

    def habit(self, char: str) -> np.ndarray:
        """The (HABITS,) numbers of one character; zeros for a character outside the usual ones."""
        row = _ROW.get(char)
        return np.zeros(HABITS, np.float32) if row is None else self.habits[row]


def capitals_face(writer: Writer, faces: list[str]) -> str:
    """The face that the writer's capitals and digits come from, among the faces given."""
    plain = sorted(face for face in faces if face not in ORNATE)
    if not plain or writer.borrows >= BORROWING:
        return writer.face
    return plain[int(writer.borrows / BORROWING * len(plain))]


def take_turns(faces: list[str]) -> list[str]:
    """One round of the faces, in which a face with plain capitals comes twice."""
    return [*faces, *(face for face in faces if face not in ORNATE)]


def name_writers(faces: list[str], count: int) -> list[str]:
    """`count` writer names that go round the faces in turn."""
    turns = take_turns(faces)
    return [f"{turns[number % len(turns)]}-{number:04d}" for number in range(count)]


@lru_cache(maxsize=1024)
def make_writer(name: str) -> Writer:
    """The writer called `name`. Raises NetchuError for a name that is not `<face>-<number>`."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise NetchuError(f"writer {name!r}: not a name such as patrickhand-0042 (face, hyphen, four digits)")
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    return Writer(
        face=match[1],
        slant=float(np.clip(rng.normal(0.04, 0.16), -0.3, 0.5)),
        width=float(rng.uniform(0.8, 1.2)),
        size=float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.2)),
        letter_gap=float(rng.choice([rng.uniform(-0.06, 0.06), rng.uniform(0.0, 0.22)])),
        word_gap=float(rng.choice([rng.uniform(0.55, 0.85), rng.uniform(0.85, 1.6)], p=[0.65, 0.35])),
        nib=float(np.clip(rng.normal(1.95, 0.45), 1.2, 3.2)),
        nib_ratio=float(rng.uniform(0.6, 1.0)),
        nib_angle=float(rng.uniform(-60, 60)),
        ink=float(rng.uniform(*INKS[int(rng.choice(3, p=[0.5, 0.38, 0.12]))])),
        carelessness=float(rng.beta(2.0, 2.0)),
        borrows=float(rng.random()) if match[1] in ORNATE else 1.0,
        joining=float(rng.choice([0.0, rng.uniform(0.2, 0.95)], p=[0.35, 0.65])),
        marks=rng.normal([0.02, 0.04], [0.08, 0.07], 2).clip([-0.12, -0.02], 0.2).astype(np.float32),
        habits=rng.normal(0.0, 1.0, (len(REQUIRED), HABITS)).astype(np.float32),
    )

"""Other writing of the same hand around the line: crossed-out words, neighbouring lines, an uneven nib.

These effects work on the `Desk`: the words before they are laid out, and the canvas that the pen draws on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from netchu.synthesis.sheet import Frame, Write

Rng = np.random.Generator


@dataclass(slots=True)
class Desk:
    """One line while it is written.

    words: what is written, crossed-out words included. struck: indices of those. frame: set once the text is laid
    out. write: draws more words of this hand at (x, y) pixels. thick: how much thicker, in pixels of the final
    image, the nib gets at its heaviest.
    """

    words: list[str]
    struck: list[int] = field(default_factory=list)
    frame: Frame | None = None
    write: Write | None = None
    thick: float = 0.0


def strike_word(desk: Desk, rng: Rng) -> None:
    """A word is begun wrong and crossed out; the right ones follow. The label does not hold it."""
    if not desk.words:
        return
    place = int(rng.integers(0, len(desk.words)))
    wrong = desk.words[place][: max(1, len(desk.words[place]) - int(rng.integers(0, 3)))]
    desk.words = [*desk.words[:place], wrong, *desk.words[place:]]
    desk.struck = [place]


def vary_nib(desk: Desk, rng: Rng) -> None:
    """Strokes swell where the hand presses."""
    desk.thick = rng.uniform(0.3, 0.8)


def line_above(desk: Desk, rng: Rng) -> None:
    """The feet of the line above reach into the crop."""
    if desk.frame is not None and desk.write is not None:
        foot = rng.uniform(-0.6, 0.0) * desk.frame.unit
        desk.write(_shuffled(desk.words, rng), desk.frame.left + rng.normal(0, 1.5) * desk.frame.height, foot)


def line_below(desk: Desk, rng: Rng) -> None:
    """The heads of the line below reach into the crop."""
    if desk.frame is not None and desk.write is not None:
        foot = desk.frame.height + rng.uniform(1.5, 2.3) * desk.frame.unit
        desk.write(_shuffled(desk.words, rng), desk.frame.left + rng.normal(0, 1.5) * desk.frame.height, foot)


def _shuffled(words: list[str], rng: Rng) -> list[str]:
    """The words in another order, some left out; a few stock words for an empty line."""
    pool = words or ["Nguyễn", "Phường", "Hà", "Long", "Giang", "Tổ"]
    return [pool[i] for i in rng.permutation(len(pool))[: max(1, int(rng.integers(1, len(pool) + 1)))]]


WRITTEN: dict[str, Callable[[Desk, Rng], None]] = {
    "strike_word": strike_word,
    "vary_nib": vary_nib,
    "line_above": line_above,
    "line_below": line_below,
}

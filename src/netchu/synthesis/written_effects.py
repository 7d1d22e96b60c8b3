"""Other writing of the same hand around the line: crossed-out words, neighbouring lines, an uneven nib."""

from collections.abc import Callable
from dataclasses import dataclass

from netchu.synthesis import Rng
from netchu.synthesis.sheet import Frame


@dataclass(slots=True)
class Desk:
    """One line while it is written.

    words: what is written, crossed-out words included. write: draws more words of this hand at (x, y) pixels. thick:
    how much thicker, in pixels of the final image, the nib gets at its heaviest.
    """

    words: list[str]
    frame: Frame
    write: Callable[[list[str], float, float], None]
    thick: float = 0.0


def strike_word(words: list[str], rng: Rng) -> tuple[list[str], int]:
    """A word is begun wrong and crossed out; the right ones follow. The label does not hold it.

    Returns all words and the index of the one to cross out, -1 where there is none.
    """
    if not words:
        return words, -1
    place = int(rng.integers(0, len(words)))
    wrong = words[place][: max(1, len(words[place]) - int(rng.integers(0, 3)))]
    return [*words[:place], wrong, *words[place:]], place


def vary_nib(desk: Desk, rng: Rng) -> None:
    """Strokes swell where the hand presses."""
    desk.thick = rng.uniform(0.3, 0.8)


def line_above(desk: Desk, rng: Rng) -> None:
    """The feet of the line above reach into the crop."""
    _write_beside(desk, rng.uniform(-0.6, 0.0) * desk.frame.unit, rng)


def line_below(desk: Desk, rng: Rng) -> None:
    """The heads of the line below reach into the crop."""
    _write_beside(desk, desk.frame.height + rng.uniform(1.5, 2.3) * desk.frame.unit, rng)


def _write_beside(desk: Desk, foot: float, rng: Rng) -> None:
    """Write the words in another order, some left out, with their feet there; a few stock words for an empty line."""
    pool = desk.words or ["Nguyễn", "Phường", "Hà", "Long", "Giang", "Tổ"]
    shuffled = [pool[i] for i in rng.permutation(len(pool))[: max(1, int(rng.integers(1, len(pool) + 1)))]]
    desk.write(shuffled, desk.frame.left + rng.normal(0, 1.5) * desk.frame.height, foot)


WRITTEN: dict[str, Callable[[Desk, Rng], None]] = {
    effect.__name__: effect for effect in (vary_nib, line_above, line_below)
}

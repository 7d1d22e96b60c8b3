"""From texts to a character n-gram model: counting, and interpolated Witten-Bell smoothing.

Source: Witten and Bell 1991, "The zero-frequency problem", method C: a context seen n times with t different followers
gives them n / (n + t) of its probability by their counts, and t / (n + t) to what the shorter context says.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.language.ngram import CHARACTERS, DIGIT, END, START, Keys, Level, NGram, Places, pack, symbol_bits, unpack

ORDER = 12  # symbols of the longest n-gram
CUTOFF = 3  # n-grams of over KEPT_WHOLE symbols that occur less often are left out
KEPT_WHOLE = 3


def train_ngram(
    texts: Iterable[str], order: int = ORDER, cutoff: int = CUTOFF, folds: Sequence[int] = (), characters: str = ""
) -> NGram:
    """A model of the texts, whose spaces of every kind become plain ones.

    `folds`: of the labels among them. `characters`: what the model shall know beside those of the texts. Raises
    NetchuError for no text.
    """
    lines = [
        "".join(DIGIT if c.isdigit() else c for c in re.sub(r"\s", " ", normalise(text)).strip()) for text in texts
    ]
    lines = [line for line in lines if line]
    characters = "".join(sorted({c for line in [*lines, characters] for c in line}))
    if not lines:
        raise NetchuError("no text to train a language model on; give a file with one text a line")
    bits = symbol_bits(len(characters))
    table = {c: i for i, c in enumerate(characters, CHARACTERS)}
    stream = np.array([s for line in lines for s in (START, *map(table.__getitem__, line), END)], np.uint64)
    levels = [_unigrams(stream, len(characters) + CHARACTERS)]
    places = stream.astype(np.int64)  # on the last level, of the n-gram that begins at each symbol of the stream
    inside = np.ones(len(stream), bool)  # whether it is one of the level, and ends before its line does
    for n in range(2, order + 1):
        size = len(stream) - n + 1
        inside = inside[:size] & (places[:size] >= 0) & (stream[n - 2 : -1] != END)
        begins = np.flatnonzero(inside)
        if not len(begins):  # no line is that long, or none that occurs often enough
            break
        packed = pack(places[begins], stream[begins + n - 1], bits)
        keys, one, which, counts = np.unique(packed, return_index=True, return_inverse=True, return_counts=True)
        kept = counts >= (cutoff if n > KEPT_WHOLE else 1)
        levels.append(_extend(levels[-1], keys, counts, kept, places[begins[one] + 1], bits))
        places = np.full(size, -1)
        places[begins] = np.where(kept, np.cumsum(kept) - 1, -1)[which]
    return NGram(characters, levels, folds)


def _unigrams(stream: Keys, size: int) -> Level:
    """Every symbol, counted once more than it occurs, so that none is impossible; a line's start is never foretold."""
    counts = np.bincount(stream.astype(np.int64), minlength=size) + 1.0
    counts[START] = 1e-9
    log_probs = np.log(counts / counts.sum()).astype(np.float32)
    return Level(np.arange(size, dtype=np.uint64), log_probs, np.zeros(size, np.float32))


def _extend(
    lower: Level, keys: Keys, counts: NDArray[np.int64], kept: NDArray[np.bool_], shorter: Places, bits: int
) -> Level:
    """The `kept` n-grams above a level, and in place the back-off weights of their contexts in that level. `shorter`:
    where each stands in that level without its first symbol."""
    contexts, first = np.unique(unpack(keys, bits)[0], return_index=True)
    types = np.diff(np.append(first, len(keys)))
    seen = np.add.reduceat(counts, first)
    group = np.repeat(np.arange(len(contexts)), types)
    keys, counts, group, shorter = keys[kept], counts[kept], group[kept], shorter[kept]
    below = np.exp(lower.log_probs[shorter].astype(np.float64))
    probs = (counts + types[group] * below) / (seen + types)[group]
    level = Level(keys, np.log(probs).astype(np.float32), np.zeros(len(keys), np.float32))
    set_backoffs(lower, level, shorter, bits)
    return level


def set_backoffs(lower: Level, level: Level, shorter: Places, bits: int) -> None:
    """Set the back-off weights of a level's contexts, which are in the level below, so that their probabilities sum to
    one. `shorter`: where each n-gram stands in that level without its first symbol."""
    contexts, _ = unpack(level.keys, bits)
    probs, below = (np.exp(values.astype(np.float64)) for values in (level.log_probs, lower.log_probs[shorter]))
    left, left_below = (1 - np.bincount(contexts, p, len(lower.keys)) for p in (probs, below))
    used = np.unique(contexts)
    lower.backoffs[used] = np.log(np.maximum(left, 1e-9) / np.maximum(left_below, 1e-9))[used]

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
from netchu.language.ngram import CHARACTERS, DIGIT, END, START, Keys, Level, NGram, symbol_bits

ORDER = 7  # symbols of the longest n-gram
CUTOFF = 3  # n-grams of over KEPT_WHOLE symbols that occur less often are left out
KEPT_WHOLE = 3
ONE = np.uint64(1)


def train_ngram(texts: Iterable[str], order: int = ORDER, cutoff: int = CUTOFF, folds: Sequence[int] = ()) -> NGram:
    """A model of the texts, whose spaces of every kind become plain ones; `folds` are those of the labels among them.

    Raises NetchuError for no text, or an order whose n-grams do not fit 64 bits.
    """
    lines = [
        "".join(DIGIT if c.isdigit() else c for c in re.sub(r"\s", " ", normalise(text)).strip()) for text in texts
    ]
    lines = [line for line in lines if line]
    characters = "".join(sorted({c for line in lines for c in line}))
    if not characters:
        raise NetchuError("no text to train a language model on; give a file with one text a line")
    bits = symbol_bits(len(characters))
    if not 1 <= order <= 63 // bits:
        raise NetchuError(f"order {order}: with {len(characters)} characters, expected 1 to {63 // bits}")
    table = {c: i for i, c in enumerate(characters, CHARACTERS)}
    stream = np.array([s for line in lines for s in (START, *map(table.__getitem__, line), END)], np.uint64)
    levels = [_unigrams(stream, len(characters) + CHARACTERS)]
    packed, inside = stream, np.ones(len(stream), bool)  # the n-gram that begins at each place; is it of one line
    for n in range(2, order + 1):
        size = len(stream) - n + 1
        packed = packed[:size] << np.uint64(bits) | stream[n - 1 :]
        inside = inside[:size] & (stream[n - 2 : -1] != END)
        keys, counts = np.unique(packed[inside], return_counts=True)
        levels.append(_extend(levels[-1], keys, counts, bits, n, cutoff if n > KEPT_WHOLE else 1))
    return NGram(characters, levels, folds)


def _unigrams(stream: Keys, size: int) -> Level:
    """Every symbol, counted once more than it occurs, so that none is impossible; a line's start is never foretold."""
    counts = np.bincount(stream.astype(np.int64), minlength=size) + 1.0
    counts[START] = 1e-9
    log_probs = np.log(counts / counts.sum()).astype(np.float32)
    return Level(np.arange(size, dtype=np.uint64), log_probs, np.zeros(size, np.float32))


def _extend(lower: Level, keys: Keys, counts: NDArray[np.int64], bits: int, n: int, cutoff: int) -> Level:
    """The n-grams above a level, and in place the back-off weights of their contexts in that level."""
    contexts, first = np.unique(keys >> np.uint64(bits), return_index=True)
    types = np.diff(np.append(first, len(keys)))
    seen = np.add.reduceat(counts, first)
    group = np.repeat(np.arange(len(contexts)), types)
    kept = counts >= cutoff
    keys, counts, group = keys[kept], counts[kept], group[kept]
    shorter = keys & ((ONE << np.uint64(bits * (n - 1))) - ONE)
    below = np.exp(lower.log_probs[np.searchsorted(lower.keys, shorter)].astype(np.float64))
    probs = (counts + types[group] * below) / (seen + types)[group]
    left = 1 - np.bincount(group, probs, len(contexts))
    left_below = 1 - np.bincount(group, below, len(contexts))
    used = np.bincount(group, minlength=len(contexts)) > 0
    weights = np.log(np.maximum(left, 1e-9) / np.maximum(left_below, 1e-9))
    lower.backoffs[np.searchsorted(lower.keys, contexts[used])] = weights[used]
    return Level(keys, np.log(probs).astype(np.float32), np.zeros(len(keys), np.float32))

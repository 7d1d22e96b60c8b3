"""Two n-gram models as one: the probability of a character is the weighted mean of what both say.

True labels and made-up addresses are texts of two kinds. Counted together, the many decide alone what follows a long
n-gram; counted apart and mixed, the few still have a say there.

Source: Jelinek and Mercer 1980, "Interpolated estimation of Markov source parameters from sparse data".
"""

import numpy as np

from netchu.core.errors import NetchuError
from netchu.language.ngram import Floats, Level, NGram, pack, unpack
from netchu.language.smoothing import set_backoffs


def mix(first: NGram, second: NGram, share: float) -> NGram:
    """A model of all n-grams of both: (1 - `share`) x the first one's probability + `share` x the second one's.

    Every n-gram without its first symbol must be in its model, too, as in those of `train_ngram`. `share` is between 0
    and 1, neither included. Raises NetchuError for models of different characters.
    """
    if first.characters != second.characters:
        raise NetchuError("language models of different characters cannot be mixed; train both on one set of them")
    bits, sides = first.bits, [first.levels, second.levels]
    level = sides[0][0]
    said = [levels[0].log_probs for levels in sides]  # by each model, of all n-grams of the mixture's last level
    places = [np.arange(len(level.keys))] * 2  # of each model's n-grams in that level
    shorter = np.zeros(len(level.keys), np.int64)  # where each n-gram of that level is without its first symbol
    mixed = [Level(level.keys, _mean(said, share), np.zeros(len(level.keys), np.float32))]
    for n in range(1, max(first.order, second.order)):
        level, found = mixed[-1], []
        for levels, place in zip(sides, places, strict=True):
            contexts, last = unpack(levels[n].keys if n < len(levels) else np.zeros(0, np.uint64), bits)
            found.append(pack(place[contexts], last, bits))
        keys = np.union1d(*found)
        contexts, last = unpack(keys, bits)
        shorter = np.searchsorted(level.keys, pack(shorter[contexts], last, bits))
        for i, levels in enumerate(sides):
            backoffs = np.zeros(len(level.keys), np.float32)
            if n <= len(levels):
                backoffs[places[i]] = levels[n - 1].backoffs
            said[i] = backoffs[contexts] + said[i][shorter]
            places[i] = np.searchsorted(keys, found[i])
            if n < len(levels):
                said[i][places[i]] = levels[n].log_probs
        mixed.append(Level(keys, _mean(said, share), np.zeros(len(keys), np.float32)))
        set_backoffs(level, mixed[-1], shorter, bits)
    return NGram(first.characters, mixed, sorted({*first.folds, *second.folds}))


def _mean(log_probs: list[Floats], share: float) -> Floats:
    """The logarithm of the weighted mean of two models' probabilities."""
    first, second = (values.astype(np.float64) for values in log_probs)
    mean: Floats = np.logaddexp(first + np.log1p(-share), second + np.log(share)).astype(np.float32)
    return mean

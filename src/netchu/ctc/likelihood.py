"""The exact CTC log-likelihood of texts: the sum over all their alignments with one line's frames.

Source: Graves et al. 2006, "Connectionist Temporal Classification", section 4.1 (the forward algorithm). All candidate
texts of a line go through one pass over its frames together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK

LogProbs = NDArray[np.float32]  # (T, C)
IMPOSSIBLE = -1e30  # stands for log 0 in sums, where minus infinity would make nan


def log_likelihoods(log_probs: LogProbs, sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """log p(sequence | line) of each class sequence (no blanks in it), (H,), at most 0.

    Minus infinity where a sequence has no alignment: too long for the frames, or of an impossible class.
    """
    count, steps = len(sequences), len(log_probs)
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    states = 2 * int(lengths.max(initial=0)) + 1
    labels = np.full((count, states), BLANK, np.int64)  # blank, first, blank, second, ... blank, then padding
    for row, sequence in enumerate(sequences):
        labels[row, 1 : 2 * len(sequence) : 2] = sequence
    skip = np.full((count, states), IMPOSSIBLE)  # a state may be entered from two before unless its label repeats
    skip[:, 2:][(labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])] = 0.0
    padded = np.full((count, states + 2), IMPOSSIBLE)
    stay, step, jump = padded[:, 2:], padded[:, 1:-1], padded[:, :-2]
    padded[:, 1] = 0.0  # before the first frame, one step away from the first state
    emissions = np.maximum(log_probs.astype(np.float64), IMPOSSIBLE)[:, labels]  # (T, H, S)
    for t in range(steps):
        jumped = jump + skip
        top = np.maximum(np.maximum(stay, step), jumped)
        total = np.exp(stay - top)
        total += np.exp(step - top)
        total += np.exp(jumped - top)
        np.log(total, out=total)
        total += top
        total += emissions[t]
        if t == 0:
            padded[:, 1] = IMPOSSIBLE
            if states > 1:
                total[:, 1] = emissions[0, :, 1]  # the first label is entered without a blank before it
        np.maximum(total, IMPOSSIBLE, out=stay)
    rows = np.arange(count)
    if steps == 0:
        return np.where(lengths == 0, 0.0, -np.inf)
    last = np.where(lengths > 0, stay[rows, np.maximum(2 * lengths - 1, 0)], IMPOSSIBLE)
    total = np.logaddexp(stay[rows, 2 * lengths], last)
    return np.where(total < IMPOSSIBLE / 2, -np.inf, np.minimum(total, 0.0))

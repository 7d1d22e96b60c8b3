"""The exact CTC log-likelihood of texts: the sum over all their alignments with one line's frames.

Source: Graves et al. 2006, "Connectionist Temporal Classification", section 4.1 (the forward algorithm). All candidate
texts of a line go through one pass over its frames together, as probabilities that are scaled up again every few
frames, which is several times as fast as sums of logarithms.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK

LogProbs = NDArray[np.float32]  # (T, C)
RESCALED = 4  # frames between two rescalings; a frame's least probable class costs 104 nats in float32, of some 700


def log_likelihoods(log_probs: LogProbs, sequences: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """log p(sequence | line) of each class sequence (no blanks in it), (H,), at most 0.

    Minus infinity where a sequence has no alignment: too long for the frames, or of an impossible class. Alignments
    that are some 700 nats worse than others of the same sequence at the same frame are left out.
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.intp)
    count, states = len(sequences), 2 * int(lengths.max(initial=0)) + 1
    if not len(log_probs):
        return np.where(lengths == 0, 0.0, -np.inf)
    labels = np.full((count, states), BLANK, np.intp)  # blank, first, blank, second, ... blank, then padding
    for row, sequence in enumerate(sequences):
        labels[row, 1 : 2 * len(sequence) : 2] = sequence
    skips = np.zeros((count, states))  # a state may be entered from two before unless its label repeats
    skips[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    padded = np.zeros((count, states + 2))
    stay, step, jump = padded[:, 2:], padded[:, 1:-1], padded[:, :-2]
    probs = np.exp(log_probs, dtype=np.float64)
    stay[:, :2] = probs[0, labels[:, :2]]
    total, emitted, scale = np.empty((count, states)), np.empty((count, states)), np.zeros(count)
    for t in range(1, len(probs)):
        np.multiply(jump, skips, out=total)
        total += step
        total += stay
        np.multiply(total, probs[t].take(labels, out=emitted, mode="clip"), out=stay)
        if t % RESCALED == 0:
            top = stay.max(axis=1)
            top[top == 0] = 1.0
            stay /= top[:, None]
            scale += np.log(top)
    rows = np.arange(count)
    ends = stay[rows, 2 * lengths] + np.where(lengths > 0, stay[rows, np.maximum(2 * lengths - 1, 0)], 0.0)
    with np.errstate(divide="ignore"):
        return np.minimum(np.log(ends) + scale, 0.0)

"""Where a known text stands in a line: the best CTC path of a label through the log-probabilities of a model."""

import numpy as np
from numpy.typing import NDArray

from netchu.charset import BLANK
from netchu.decode import LogProbs

IMPOSSIBLE = -1e30


def align(log_probs: LogProbs, codes: list[int]) -> tuple[NDArray[np.intp], float]:
    """Time step at which each of `codes` is most probable on the best path, and that path's log-probability.

    log_probs (T, C); codes are class numbers without blanks. Returns steps (len(codes),), rising, and the sum of the
    log-probabilities along the path. Raises ValueError when T is too small for the codes. Viterbi's algorithm on the
    states of Graves et al., Connectionist Temporal Classification (ICML 2006): blanks between all characters.
    """
    states = np.full(2 * len(codes) + 1, BLANK)
    states[1::2] = codes
    skips = np.zeros(len(states), bool)  # states that may be entered from the one before the last
    skips[3::2] = states[3::2] != states[1:-2:2]
    emitted = log_probs[:, states]
    best = np.full(len(states), IMPOSSIBLE)
    best[:2] = emitted[0, :2]
    back = np.zeros((len(log_probs), len(states)), np.int8)
    for step in range(1, len(log_probs)):
        one = np.concatenate([[IMPOSSIBLE], best[:-1]])
        two = np.where(skips, np.concatenate([[IMPOSSIBLE] * 2, best[:-2]])[: len(best)], IMPOSSIBLE)
        ways = np.stack([best, one, two])
        back[step] = ways.argmax(axis=0)
        best = ways.max(axis=0) + emitted[step]
    state = len(states) - 1 if len(states) == 1 or best[-1] >= best[-2] else len(states) - 2
    total = float(best[state])
    if total < IMPOSSIBLE / 2:
        raise ValueError(f"{len(log_probs)} time steps are too few for {len(codes)} characters")
    path = np.empty(len(log_probs), np.intp)
    for step in range(len(log_probs) - 1, -1, -1):
        path[step] = state
        state -= int(back[step, state])
    steps = np.empty(len(codes), np.intp)
    for i in range(len(codes)):
        on = np.flatnonzero(path == 2 * i + 1)
        steps[i] = on[emitted[on, 2 * i + 1].argmax()]
    return steps, total

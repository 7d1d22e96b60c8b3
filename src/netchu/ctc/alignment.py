"""Where a known text stands in a line: the best CTC path of a label through the log-probabilities of a model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK
from netchu.ctc.likelihood import LogProbs

IMPOSSIBLE = -1e30


def forced_path(log_probs: LogProbs, codes: Sequence[int]) -> tuple[NDArray[np.intp], float]:
    """State of the best path at each time step, (T,), and the sum of the log-probabilities along it.

    log_probs (T, C); codes are class numbers without blanks. State 2 i + 1 is character i, the even ones are the blanks
    around it. Raises ValueError when T is too small for the codes. Viterbi's algorithm on the states of Graves et al.,
    Connectionist Temporal Classification (ICML 2006).
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
    return path, total


def align(log_probs: LogProbs, codes: Sequence[int]) -> tuple[NDArray[np.intp], float]:
    """Time step at which each of `codes` is most probable on the best path, (len(codes),), rising, and that path's
    log-probability; see `forced_path`."""
    path, total = forced_path(log_probs, codes)
    steps = np.empty(len(codes), np.intp)
    for i, code in enumerate(codes):
        on = np.flatnonzero(path == 2 * i + 1)
        steps[i] = on[log_probs[on, code].argmax()]
    return steps, total

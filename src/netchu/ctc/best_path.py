"""The best path of a line: the likeliest class of each time step, repeats merged, blanks dropped.

Source: Graves et al. 2006, "Connectionist Temporal Classification", section 3.2. All that reads a line along this path
(greedy decoding, where its characters stand, how sure it is) reads it here.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK
from netchu.ctc.likelihood import LogProbs

Steps = NDArray[np.intp]  # (L,)


@dataclass(frozen=True, slots=True)
class BestPath:
    """L characters: their `classes`, the time steps `starts` (first) to `ends` (one past the last) that each is read
    at, its surest step `peaks` and the log-probability `sure` there, (L,) each. `log_prob`: of the whole path."""

    classes: Steps
    starts: Steps
    ends: Steps
    peaks: Steps
    sure: NDArray[np.float32]
    log_prob: float

    def stripped(self, space: int) -> "BestPath":
        """Without spaces (class `space`) at its ends."""
        written = np.flatnonzero(self.classes != space)
        inner = slice(written[0], written[-1] + 1) if len(written) else slice(0)
        parts = {name: getattr(self, name)[inner] for name in ("classes", "starts", "ends", "peaks", "sure")}
        return replace(self, **parts)


def best_path(log_probs: LogProbs) -> BestPath:
    """The best path through log_probs (T, C); T may be 0."""
    best, top = log_probs.argmax(axis=1), log_probs.max(axis=1, initial=-np.inf)
    edges = np.flatnonzero(np.r_[True, best[1:] != best[:-1]]) if len(best) else np.zeros(0, np.intp)
    runs = best[edges] != BLANK
    starts, ends = edges[runs], np.r_[edges[1:], len(best)][runs] if len(best) else edges
    peaks = np.array([start + top[start:end].argmax() for start, end in zip(starts, ends, strict=True)], np.intp)
    return BestPath(best[starts], starts, ends, peaks, top[peaks], float(top.sum(dtype=np.float64)))

"""From log-probabilities (T, C) of one line to its text.

A decoder takes float32 log_probs whose rows sum to 1 after exp, class 0 the blank, and returns a Reading.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netchu.charset import BLANK, Charset
from netchu.errors import NetchuError

LogProbs = NDArray[np.float32]  # (T, C)


@dataclass(frozen=True, slots=True)
class Reading:
    """A line's text and how sure the decoder is of it (0 to 1)."""

    text: str
    confidence: float


def greedy(log_probs: LogProbs, charset: Charset) -> Reading:
    """Best class of each time step, repeats merged, blanks dropped; confidence is the path's probability."""
    if log_probs.ndim != 2 or log_probs.shape[1] != len(charset):
        raise ValueError(f"log_probs {log_probs.shape} do not fit a charset of {len(charset)} classes")
    best = log_probs.argmax(axis=1)
    kept = best[np.r_[True, best[1:] != best[:-1]]] if len(best) else best
    confidence = float(np.exp(log_probs.max(axis=1).sum())) if len(best) else 1.0
    return Reading(charset.decode(kept[kept != BLANK].tolist()).strip(), min(1.0, confidence))


Decoder = Callable[[LogProbs, Charset], Reading]

DECODERS: dict[str, Decoder] = {"greedy": greedy}


def build_decoder(name: str) -> Decoder:
    """The decoder of that name; raises NetchuError when there is none."""
    if name not in DECODERS:
        raise NetchuError(f"decoder {name!r}: no such decoder; there are: {', '.join(DECODERS)}")
    return DECODERS[name]

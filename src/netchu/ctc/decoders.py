"""A line's text and how sure it is; greedy decoding of one output.

Language, places and several members are the matter of `reading`.
"""

from dataclasses import dataclass

import numpy as np

from netchu.core.charset import Charset
from netchu.ctc.best_path import best_path
from netchu.ctc.likelihood import LogProbs as LogProbs


@dataclass(frozen=True, slots=True)
class Reading:
    """A line's text and how sure the decoder is of it (0 to 1), as a whole, by character, and what else it may be."""

    text: str
    confidence: float
    characters: tuple[float, ...] = ()  # one for each character of the text
    alternatives: tuple[tuple[str, float], ...] = ()  # other texts and their probabilities, the likeliest first
    accept: bool | None = None  # whether it is sure enough to be accepted unseen; None: not known


def greedy(log_probs: LogProbs, charset: Charset) -> Reading:
    """The text of the best path of log_probs (T, C), class 0 the blank; confidence is the path's probability.

    Raises ValueError for an output of another charset.
    """
    if log_probs.ndim != 2 or log_probs.shape[1] != len(charset):
        raise ValueError(f"log_probs {log_probs.shape} do not fit a charset of {len(charset)} classes")
    path = best_path(log_probs)
    text = charset.decode(path.classes.tolist())
    sure = np.minimum(np.exp(path.sure), 1.0).tolist()
    left = len(text) - len(text.lstrip())
    stripped = text.strip()
    return Reading(stripped, min(1.0, float(np.exp(path.log_prob))), tuple(sure[left : left + len(stripped)]))

"""From log-probabilities (T, C) of one line to its text.

A decoder takes float32 log_probs whose rows sum to 1 after exp, class 0 the blank, and returns a Reading. Decoders here
know a charset and nothing else; language, places and several members are the matter of `reading`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netchu.core.charset import BLANK, Charset
from netchu.core.errors import NetchuError
from netchu.ctc.beam import search
from netchu.ctc.likelihood import LogProbs as LogProbs
from netchu.ctc.posteriors import certainties, posteriors


@dataclass(frozen=True, slots=True)
class Reading:
    """A line's text and how sure the decoder is of it (0 to 1), as a whole, by character, and what else it may be."""

    text: str
    confidence: float
    characters: tuple[float, ...] = ()  # one for each character of the text
    alternatives: tuple[tuple[str, float], ...] = ()  # other texts and their probabilities, the likeliest first
    accept: bool | None = None  # whether it is sure enough to be accepted unseen; None: not known


def greedy(log_probs: LogProbs, charset: Charset) -> Reading:
    """Best class of each time step, repeats merged, blanks dropped; confidence is the path's probability."""
    _check(log_probs, charset)
    best = log_probs.argmax(axis=1)
    if not len(best):
        return Reading("", 1.0)
    starts = np.flatnonzero(np.r_[True, best[1:] != best[:-1]])
    peaks = np.maximum.reduceat(log_probs.max(axis=1), starts)
    labels = best[starts] != BLANK
    text = charset.decode(best[starts][labels].tolist())
    sure = np.minimum(np.exp(peaks[labels]), 1.0).tolist()
    left = len(text) - len(text.lstrip())
    stripped = text.strip()
    confidence = float(np.exp(log_probs.max(axis=1).sum()))
    return Reading(stripped, min(1.0, confidence), tuple(sure[left : left + len(stripped)]))


def beam(log_probs: LogProbs, charset: Charset) -> Reading:
    """The likeliest text over all its alignments, by prefix beam search; confidence is its exact probability."""
    _check(log_probs, charset)
    hypotheses = search(log_probs, space=charset.characters.find(" ") + 1)
    if not hypotheses:
        return Reading("", 0.0)
    texts = [charset.decode(h.classes) for h in hypotheses]
    sure = certainties(texts[0], texts, posteriors([h.log_prob for h in hypotheses]))
    others = tuple((t, float(np.exp(h.log_prob))) for t, h in zip(texts[1:], hypotheses[1:], strict=True))
    return Reading(texts[0], float(np.exp(hypotheses[0].log_prob)), sure, others)


def _check(log_probs: LogProbs, charset: Charset) -> None:
    """Raise ValueError for an output of another charset."""
    if log_probs.ndim != 2 or log_probs.shape[1] != len(charset):
        raise ValueError(f"log_probs {log_probs.shape} do not fit a charset of {len(charset)} classes")


Decoder = Callable[[LogProbs, Charset], Reading]

DECODERS: dict[str, Decoder] = {"greedy": greedy, "beam": beam}


def build_decoder(name: str) -> Decoder:
    """The decoder of that name; raises NetchuError when there is none."""
    if name not in DECODERS:
        raise NetchuError(f"decoder {name!r}: no such decoder; there are: {', '.join(DECODERS)}")
    return DECODERS[name]

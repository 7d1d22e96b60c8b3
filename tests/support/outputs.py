"""What a network would say of a line, made by hand."""

import numpy as np

from netchu.core.charset import Charset
from netchu.ctc.likelihood import LogProbs


def spell(charset: Charset, text: str, doubts: dict[int, tuple[str, float]] | None = None, stride: int = 2) -> LogProbs:
    """log_probs that spell a text at one character every `stride` frames; `doubts` give shares to other characters."""
    probs = np.full((stride * len(text), len(charset)), 1e-6)
    probs[:, 0] = 1.0
    for i, character in enumerate(text):
        other, share = (doubts or {}).get(i, ("", 0.0))
        probs[stride * i, 0] = 1e-6
        probs[stride * i, charset.encode(character)] = 1 - share
        if other:
            probs[stride * i, charset.encode(other)] = share
    return np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)  # type: ignore[no-any-return]

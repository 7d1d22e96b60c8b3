"""Posterior probabilities of texts, and of each character of one among them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netchu.core.metrics import align

Floats = NDArray[np.float64]
NEGLIGIBLE = 1e-3  # hypotheses less probable than this say nothing of single characters


def posteriors(scores: Sequence[float] | Floats, temperature: float = 1.0) -> Floats:
    """Probabilities of hypotheses from their log scores; above 1 the temperature makes them more alike."""
    scaled = np.asarray(scores, np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    return np.asarray(weights / weights.sum())


def certainties(answer: str, texts: Sequence[str], probabilities: Floats) -> tuple[float, ...]:
    """For each character of the answer, the probability of the hypotheses that have it too, aligned by edits."""
    total = np.full(len(answer), probabilities.sum())
    for text, probability in zip(texts, probabilities, strict=True):
        if text == answer or probability < NEGLIGIBLE:
            continue
        start = _shared(text, answer)
        end = _shared(text[start:][::-1], answer[start:][::-1])
        middle = align(text[start : len(text) - end], answer[start : len(answer) - end])
        total[start : len(answer) - end] -= probability * np.array([read != c for c, read in middle], bool)
    return tuple(np.clip(total, 0.0, 1.0).tolist())


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common at their start."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))

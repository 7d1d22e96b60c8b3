"""Held-out lines with all their candidates, read again and again with other weights: how settings are tuned.

Candidates are gathered once; a trial then costs microseconds a line, since only their scores are added up anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from netchu.decoding.bayes import choose, posteriors
from netchu.decoding.candidates import Candidates, Floats
from netchu.decoding.confidence import fit_temperature
from netchu.decoding.reading import Settings, scores
from netchu.metrics import Scores, line_score, score

LANGUAGE_WEIGHTS = (0.0, 0.15, 0.25, 0.35, 0.5)
LANGUAGE_BONUSES = (0.0, 0.4, 0.8, 1.2)
PLACE_BONUSES = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """A held-out line: its candidates, and the kalapa_score of answering each one (H,)."""

    candidates: Candidates
    gains: Floats
    label: str
    writer: str


def scored(candidates: Candidates, label: str, writer: str) -> ScoredLine:
    """Compare a line's candidates with its label."""
    return ScoredLine(candidates, np.array([line_score(t, label) for t in candidates.texts]), label, writer)


def pick(line: ScoredLine, weights: Floats, settings: Settings) -> int:
    """The candidate that would be answered."""
    total = scores(line.candidates, weights, settings)
    if not settings.risk:
        return int(total.argmax())
    order = [i for i in np.argsort(-total, kind="stable").tolist() if np.isfinite(total[i])]
    texts = [line.candidates.texts[i] for i in order]
    best: int = order[choose(texts, posteriors(total[order], settings.temperature))]
    return best


def gain(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> float:
    """Mean kalapa_score."""
    return float(np.mean([line.gains[pick(line, weights, settings)] for line in lines]))


def evaluate(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> Scores:
    """All scores."""
    answers = [line.candidates.texts[pick(line, weights, settings)] for line in lines]
    return score(answers, [line.label for line in lines])


def tune(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> Settings:
    """The language and place weights that read these lines best, by coordinates, then the temperature."""
    has_language = any(line.candidates.language.any() for line in lines)
    has_places = any(line.candidates.depths.any() for line in lines)
    grids: list[tuple[str, tuple[float, ...]]] = []
    if has_language:
        grids += [("language_weight", LANGUAGE_WEIGHTS), ("language_bonus", LANGUAGE_BONUSES)]
    if has_places:
        grids += [("place_bonus", PLACE_BONUSES)]
    best = gain(lines, weights, settings)
    for key, grid in grids * 2:
        for value in grid:
            changed = replace(settings, **{key: value})  # type: ignore[arg-type]
            if changed != settings and (reached := gain(lines, weights, changed)) > best + 1e-9:
                best, settings = reached, changed
    return replace(settings, temperature=calibrate(lines, weights, settings))


def calibrate(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> float:
    """The temperature at which confidences of these lines are truest."""
    totals, right = [], []
    for line in lines:
        total = scores(line.candidates, weights, settings)
        best = int(total.argmax())
        totals.append(np.concatenate([total[[best]], np.delete(total, best)]))
        right.append(line.candidates.texts[best] == line.label)
    return fit_temperature(totals, right)

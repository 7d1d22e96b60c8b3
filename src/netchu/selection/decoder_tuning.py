"""Held-out lines with all their candidates, read again and again with other weights: how settings are tuned.

Candidates are gathered once; a trial then costs microseconds a line, since only their scores are added up anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netchu.core.metrics import Scores, line_score, score
from netchu.language.conventions import CONVENTIONS, Answers, answers
from netchu.reading.candidates import Candidates, Floats
from netchu.reading.confidence import fit_temperature
from netchu.reading.line_reader import Settings, clues_of_best, confidence_of_best, scores

LANGUAGE_WEIGHTS = (0.0, 0.15, 0.25, 0.35, 0.5)
LANGUAGE_BONUSES = (0.0, 0.4, 0.8, 1.2, 1.6)
LEAST = 20  # lines of right answers, and of wrong ones, from which on clues are weighed
PLACE_BONUSES = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """A held-out line: its candidates, and by convention its G answers and their kalapa_scores (G,)."""

    candidates: Candidates
    answers: Mapping[str, Answers]
    gains: Mapping[str, Floats]
    label: str
    writer: str


def scored(candidates: Candidates, label: str, writer: str) -> ScoredLine:
    """Compare what a line's candidates say with its label."""
    found = {convention: answers(candidates.texts, convention) for convention in CONVENTIONS}
    gains = {key: np.array([line_score(text, label) for text in made.texts]) for key, made in found.items()}
    return ScoredLine(candidates, found, gains, label, writer)


def sums(line: ScoredLine, weights: Floats, settings: Settings) -> Floats:
    """The score of each answer of the settings' convention (G,)."""
    return line.answers[settings.convention].sums(scores(line.candidates, weights, settings))


def pick(line: ScoredLine, weights: Floats, settings: Settings) -> int:
    """Number of the answer that would be given."""
    return int(sums(line, weights, settings).argmax())


def answer(line: ScoredLine, weights: Floats, settings: Settings) -> str:
    """The text that would be given."""
    return line.answers[settings.convention].texts[pick(line, weights, settings)]


def confidence(line: ScoredLine, weights: Floats, settings: Settings) -> float:
    """How sure that text is, as the reader would say."""
    total = scores(line.candidates, weights, settings)
    return confidence_of_best(line.candidates, line.answers[settings.convention], weights, settings, total)


def gain(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> float:
    """Mean kalapa_score."""
    return float(np.mean([line.gains[settings.convention][pick(line, weights, settings)] for line in lines]))


def evaluate(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> Scores:
    """All scores."""
    return score([answer(line, weights, settings) for line in lines], [line.label for line in lines])


def tune(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> Settings:
    """The convention that gets most lines exactly right, and the language and place weights that read these lines
    best, by coordinates, then the temperature and what clues are worth."""
    has_language = any(line.candidates.language.any() for line in lines)
    has_places = any(line.candidates.depths.any() for line in lines)
    grids: list[tuple[str, tuple[float, ...] | tuple[str, ...]]] = [("convention", tuple(CONVENTIONS))]
    if has_language:
        grids += [("language_weight", LANGUAGE_WEIGHTS), ("language_bonus", LANGUAGE_BONUSES)]
    if has_places:
        grids += [("place_bonus", PLACE_BONUSES)]
    for key, grid in grids * 2:
        worth = (lambda *given: evaluate(*given).exact) if key == "convention" else gain
        best = worth(lines, weights, settings)
        for value in grid:
            changed = replace(settings, **{key: value})  # type: ignore[arg-type]
            if changed != settings and (reached := worth(lines, weights, changed)) > best + 1e-9:
                best, settings = reached, changed
    temperature, trust = calibrate(lines, weights, settings), weigh_clues(lines, weights, settings)
    return replace(settings, temperature=temperature, trust=trust)


def weigh_clues(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> tuple[float, ...]:
    """Coefficients of `confidence.trust` that best foretell which answers are right; none for too few lines."""
    from sklearn.linear_model import LogisticRegression  # a second to import, which --help does without
    from sklearn.preprocessing import StandardScaler

    right = np.array([answer(line, weights, settings) == line.label for line in lines])
    if min(right.sum(), (~right).sum()) < LEAST:
        return ()
    found = np.array([
        clues_of_best(line.candidates, line.answers[settings.convention], weights,
                      scores(line.candidates, weights, settings)) for line in lines
    ])  # fmt: skip
    scale = StandardScaler().fit(found)
    model = LogisticRegression(max_iter=1000).fit(scale.transform(found), right)
    slopes = model.coef_[0] / scale.scale_
    return (float(model.intercept_[0] - slopes @ scale.mean_), *slopes.tolist())


def calibrate(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> float:
    """The temperature at which confidences of these lines are truest."""
    totals, right = [], []
    for line in lines:
        total = sums(line, weights, settings)
        best = int(total.argmax())
        totals.append(np.concatenate([total[[best]], np.delete(total, best)]))
        right.append(line.answers[settings.convention].texts[best] == line.label)
    return fit_temperature(totals, right)

"""Held-out lines with all their candidates, read again and again with other weights: how settings are tuned.

Candidates are gathered once; a trial then costs microseconds a line, since only their scores are added up anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netchu.core.metrics import Scores, line_score, score
from netchu.language.conventions import CONVENTIONS, Answers, answers
from netchu.reading.candidates import Bools, Candidates, Floats
from netchu.reading.confidence import fit_temperature
from netchu.reading.line_reader import TINY, Settings, clues_of_best, confidence_of_best, scores

LEAST = 20  # lines of right answers, and of wrong ones, from which on terms and clues are weighed
TERMS = ("language_weight", "language_bonus", "place_bonus")  # weights of what a score holds beside the likelihood
APART = 50.0  # nats below a line's likeliest text; less likely ones are all alike
RIDGE = 1e-3  # penalty on squared weights, each in units of what it weighs
SLIGHT = 0.01  # least weight of the likelihood, in these units


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
    """The convention that gets most lines exactly right, and the language and place weights that make right answers
    likeliest, then the temperature and what clues are worth."""
    tried = [weigh_terms(lines, weights, replace(settings, convention=convention)) for convention in CONVENTIONS]
    settings = max(tried, key=lambda one: evaluate(lines, weights, one).exact)
    temperature, trust = calibrate(lines, weights, settings), weigh_clues(lines, weights, settings)
    return replace(settings, temperature=temperature, trust=trust)


def weigh_terms(lines: Sequence[ScoredLine], weights: Floats, settings: Settings) -> Settings:
    """The settings with those weights of language, length and places under which the right answers are likeliest among
    their lines' candidates; unchanged for too few lines that have a right one, and where a term says nothing.

    Source: McFadden 1974, "Conditional logit analysis of qualitative choice behavior".
    """
    from scipy.optimize import minimize  # half a second to import

    rows = [row for line in lines if (row := _terms(line, weights, settings))]
    if len(rows) < LEAST:
        return settings
    terms, right = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    spread = terms.std(axis=0)
    used = np.flatnonzero(spread)
    if 0 not in used:
        return settings
    counts = [len(own) for own, _ in rows]
    starts, line_of = np.cumsum([0, *counts[:-1]]), np.repeat(np.arange(len(rows)), counts)
    terms = terms[:, used] / spread[used]

    def loss(slopes: Floats) -> tuple[float, Floats]:
        logits = terms @ slopes
        odds = np.exp(logits - np.maximum.reduceat(logits, starts)[line_of])
        totals, hits = np.add.reduceat(odds, starts), np.maximum(np.add.reduceat(odds * right, starts), TINY)
        slope = (odds / totals[line_of] - odds * right / hits[line_of]) @ terms / len(rows)
        return float(np.log(totals / hits).mean() + RIDGE * slopes @ slopes), slope + 2 * RIDGE * slopes

    bounds = [((SLIGHT, 0.0, None, 0.0)[i], None) for i in used]
    slopes = minimize(loss, np.ones(len(used)), jac=True, method="L-BFGS-B", bounds=bounds).x / spread[used]
    found = dict(zip(used.tolist(), (slopes / slopes[0]).tolist(), strict=True))
    return replace(settings, **{key: found[i] for i, key in enumerate(TERMS, 1) if i in found})


def _terms(line: ScoredLine, weights: Floats, settings: Settings) -> tuple[Floats, Bools] | None:
    """(what the score of each candidate that is considered is made of, beside that of the likeliest; whether it is
    right); None if none is."""
    found, answers = line.candidates, line.answers[settings.convention]
    asked = np.isfinite(scores(found, weights, settings))
    right = np.array([text == line.label for text in answers.texts])[answers.groups][asked]
    if not right.any():
        return None
    own = (weights @ found.likelihoods)[asked]
    terms = [np.maximum(own - own.max(), -APART), found.language[asked], found.lengths[asked], found.depths[asked]]
    apart = np.stack(terms, axis=1)
    return apart - apart[own.argmax()], right


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

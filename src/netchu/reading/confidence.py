"""How far a reader's answers can be trusted: their clues, temperature, error against coverage, the accept threshold.

All of it is fitted and measured on out-of-fold lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netchu.ctc.posteriors import posteriors

Floats = NDArray[np.float64]
CLUES = 6
MARGIN = 20.0  # nats ahead of the other texts; more says nothing more
LENGTHS = (20, 60)  # characters between which lines differ in how sure they can be
COVERAGES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def clues(margin: float, likelihood: float, language: float, places: float, text: str) -> Floats:
    """(CLUES,): what tells how sure an answer is: nats ahead of all others together, its log-likelihood to the members,
    its language log-probability a character, levels of the gazetteer in it, its length, whether it has a comma (such
    labels are written by other rules)."""
    length = float(np.clip(len(text), *LENGTHS))
    return np.array([min(margin, MARGIN), likelihood, language / max(1, len(text)), places, length, "," in text])


def trust(coefficients: Sequence[float], found: Floats) -> float:
    """The probability that an answer of these clues is right: logistic, the first coefficient stands alone."""
    return float(1 / (1 + np.exp(-np.clip(coefficients[0] + np.dot(coefficients[1:], found), -50, 50))))


def fit_temperature(totals: Sequence[Floats], right: Sequence[bool]) -> float:
    """The temperature at which the best text's posterior best foretells whether it is right (least cross entropy).

    `totals`: for each line the scores of its texts, the answer's first. Source: Guo et al. 2017, arXiv:1706.04599.
    """
    truth = np.asarray(right, bool)

    def loss(temperature: float) -> float:
        sure = np.array([posteriors(total, temperature)[0] for total in totals])
        sure = np.clip(sure, 1e-6, 1 - 1e-6)
        return float(-np.where(truth, np.log(sure), np.log1p(-sure)).mean())

    grid = np.exp(np.linspace(np.log(0.2), np.log(20), 40))
    return float(min(grid, key=loss))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Lines sorted by confidence: `errors[k]` is the share of wrong ones among the k + 1 surest."""

    confidences: Floats
    errors: Floats

    def error_at(self, coverage: float) -> float:
        """Share of wrong lines when the surest `coverage` of them are accepted."""
        return float(self.errors[max(0, min(len(self.errors), round(coverage * len(self.errors))) - 1)])

    def accept(self, exact: float = 0.99) -> tuple[float, float]:
        """(threshold, coverage): the lowest confidence from which on `exact` of the accepted lines are right.

        (inf, 0.0) when no threshold reaches it.
        """
        ends = np.flatnonzero(np.append(self.confidences[1:] != self.confidences[:-1], True))  # equals stay together
        good = ends[self.errors[ends] <= 1 - exact + 1e-12]
        if not len(good):
            return float("inf"), 0.0
        return float(self.confidences[good[-1]]), float((good[-1] + 1) / len(self.errors))

    def table(self) -> str:
        """Error against coverage, one row a coverage."""
        rows = [f"{100 * c:8.0f} %  {100 * self.error_at(c):6.1f} %" for c in COVERAGES]
        return "\n".join(["accepted   not exact", *rows])


def measure_coverage(confidences: Sequence[float], right: Sequence[bool]) -> Coverage:
    """The curve over lines; raises ValueError for no lines."""
    if not len(confidences):
        raise ValueError("no lines to measure confidence on")
    sure = np.asarray(confidences, np.float64)
    order = np.argsort(-sure, kind="stable")
    wrong = ~np.asarray(right, bool)[order]
    return Coverage(sure[order], np.cumsum(wrong) / np.arange(1, len(wrong) + 1))

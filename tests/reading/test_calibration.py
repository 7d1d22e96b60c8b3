"""Confidence: clues, the temperature that makes probabilities true, the curve, the threshold."""

import numpy as np
import pytest

from netchu.ctc.posteriors import posteriors
from netchu.reading.confidence import LENGTHS, MARGIN, clues, fit_temperature, measure_coverage, trust


def test_temperature_is_found_again() -> None:
    """Answers are right as often as scores divided by 3 say."""
    rng = np.random.default_rng(0)
    totals, right = [], []
    for _ in range(3000):
        total = -np.sort(rng.exponential(6.0, 4))
        truth = rng.choice(4, p=posteriors(total, 3.0))
        totals.append(total)
        right.append(bool(truth == 0))
    assert fit_temperature(totals, right) == pytest.approx(3.0, rel=0.15)


def test_curve_and_threshold() -> None:
    coverage = measure_coverage([0.9, 0.5, 0.8, 0.7], [True, False, True, False])
    assert coverage.errors.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])
    assert coverage.accept(0.99) == (0.8, 0.5)
    assert coverage.accept(0.6) == (0.7, 0.75)
    assert (coverage.error_at(0.5), coverage.error_at(1.0)) == (0, 0.5)
    assert "100 %    50.0 %" in coverage.table()


def test_equal_confidences_are_accepted_together_or_not_at_all() -> None:
    assert measure_coverage([0.9, 0.9, 0.1], [True, False, True]).accept(0.99) == (float("inf"), 0.0)
    with pytest.raises(ValueError, match="no lines"):
        measure_coverage([], [])


def test_clues_and_what_they_are_worth() -> None:
    found = clues(3.0, -2.0, -30.0, 2, "Số 12, Lê Lợi, Quận 1, Đà Nẵng")
    assert found.tolist() == [3, -2, -1, 2, 30, 1]
    weights = (-1.0, 0.5, 0.25, 0.0, 1.0, -0.1, 0.7)
    assert trust(weights, found) == pytest.approx(1 / (1 + np.exp(-(-1 + 1.5 - 0.5 + 2 - 3 + 0.7))))
    assert clues(np.inf, -1, -1, 0, "ab")[[0, 4]].tolist() == [MARGIN, LENGTHS[0]], "far ahead of all is no proof"
    assert clues(0.0, -1, 0, 0, "").tolist() == [0, -1, 0, 0, LENGTHS[0], 0]
    assert 0 < trust((0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0), clues(0, -1e9, 0, 0, "Huế")) < 1e-9

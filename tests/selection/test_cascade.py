"""The threshold of the cascade: as low as the allowed loss lets it be, never above it, honest over writers."""

import numpy as np
import pytest

from netchu.reading.candidates import Candidates
from netchu.reading.line_reader import Settings
from netchu.selection.cascade import LOSS, Stages, choose_cascade, choose_sure, read_in_stages, times
from netchu.selection.decoder_tuning import ScoredLine, scored

SETTINGS = Settings(decoder="beam")


def line(first: float, second: float, writer: str) -> ScoredLine:
    """The right text and a wrong one; by how many nats each of two members prefers the right one."""
    zeros = np.zeros(2)
    likelihoods = np.array([[first, 0.0], [second, 0.0]])
    found = np.ones((2, 2), bool)
    made = Candidates(["abcdef", "xbcdex"], likelihoods, zeros, zeros, zeros, found, np.zeros(2, bool))
    return scored(made, "abcdef", writer)


def lines(liar: float) -> list[ScoredLine]:
    """Ten sure lines, ten on which the first member alone errs with `liar` nats of conviction."""
    return [line(4.0, 4.0, f"w{i}") for i in range(10)] + [line(-liar, liar + 2, f"w{i}") for i in range(10)]


def test_stages_are_read_with_the_first_members_alone() -> None:
    stages = read_in_stages(lines(1.0), [0, 1], np.array([0.5, 0.5]), SETTINGS)
    assert (stages.gains[:10] == 1).all() and (stages.gains[10:, 0] < 1).all() and (stages.gains[10:, 1] == 1).all()
    assert stages.confidences[0, 0] == pytest.approx(1 / (1 + np.exp(-4.0)))
    assert stages.confidences[10, 0] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert stages.confidences[10, 1] == pytest.approx(1 / (1 + np.exp(-1.0)))  # half of 3 nats less half of 1
    reverse = read_in_stages(lines(1.0), [1, 0], np.array([0.5, 0.5]), SETTINGS)
    assert (reverse.gains == 1).all()


def test_the_threshold_parts_sure_lines_from_doubtful_ones() -> None:
    weights = np.array([0.5, 0.5])
    settings, lost = choose_cascade(lines(1.0), [0, 1], weights, SETTINGS, parts=2)
    assert 1 / (1 + np.exp(-1.0)) <= settings.sure < 1 / (1 + np.exp(-4.0)) and lost == 0
    stages = read_in_stages(lines(1.0), [0, 1], weights, settings)
    assert stages.last(settings.sure).tolist() == [0] * 10 + [1] * 10


def test_where_the_first_member_is_sure_and_wrong_all_are_asked() -> None:
    settings, lost = choose_cascade(lines(6.0), [0, 1], np.array([0.5, 0.5]), SETTINGS, parts=2)
    assert settings.sure == 1 and lost == 0


def test_a_loss_on_other_writers_lowers_what_is_tried() -> None:
    """Some writers' lines would choose a threshold that loses on the others'."""
    sure = [line(4.0, 4.0, f"w{2 * i}") for i in range(10)]
    wrong = [line(-5.0, 9.0, f"w{2 * i + 1}") for i in range(10)]
    settings, lost = choose_cascade(sure + wrong, [0, 1], np.array([0.5, 0.5]), SETTINGS, parts=2)
    assert settings.sure == 1 and lost <= LOSS


def test_a_small_loss_is_allowed_and_no_more() -> None:
    confidences = np.array([[0.95, 1], [0.9, 1], [0.8, 1], [0.6, 1]])
    gains = np.array([[1, 1], [0.999, 1], [0.99, 1], [1, 1]])
    stages = Stages(confidences, gains)
    assert choose_sure(stages, 0.0) == 0.9
    assert choose_sure(stages, 0.0005) == 0.8
    assert choose_sure(stages, 0.01) == 0.6
    assert choose_sure(Stages(confidences, np.array([[0.0, 1]] * 4)), 0.01) == 1.0


def test_times_and_shares() -> None:
    stages = Stages(np.array([[0.9, 1], [0.9, 1], [0.1, 1], [0.1, 1]]), np.ones((4, 2)))
    found = times(stages, 0.5, [0.03, 0.02], 0.01, [100, 100, 100, 100])
    assert found["done_after"] == [0.5, 0.5]
    assert found["mean_s"] == pytest.approx((0.03 + 0.06) / 2)
    assert found["slowest_s"] == pytest.approx(0.06)
    wide = times(stages, 1.0, [0.03, 0.02], 0.01, [50, 50, 50, 250])
    assert wide["done_after"] == [0.0, 1.0] and wide["slowest_s"] == pytest.approx(0.06 * 2.5)

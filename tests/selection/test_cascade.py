"""The thresholds of the cascade: as low as the allowed loss lets them be, never lower, honest over writers."""

from dataclasses import replace

import numpy as np
import pytest

from netchu.reading.candidates import Candidates
from netchu.reading.confidence import clues, trust
from netchu.reading.line_reader import Settings
from netchu.selection.cascade import (
    LOSS,
    NEVER,
    Cascade,
    Stages,
    choose_cascade,
    choose_in_order,
    choose_thresholds,
    read_in_stages,
)
from netchu.selection.decoder_tuning import ScoredLine, confidence, scored
from netchu.selection.search import judge

SETTINGS = Settings(decoder="beam")
HALVES = np.array([0.5, 0.5])
RIGHT, WRONG = "abcdef", "xbcdex"


def line(first: float, second: float, writer: str, clearness: tuple[float, float] = (0.0, 0.0)) -> ScoredLine:
    """The right text and a wrong one; by how many nats each of two members prefers the right one. `clearness`: how
    likely each one's best path is, which spells the text that it prefers."""
    zeros = np.zeros(2)
    likelihoods = np.array([[first, 0.0], [second, 0.0]])
    greedy = tuple(RIGHT if nats > 0 else WRONG for nats in (first, second))
    made = Candidates(
        [RIGHT, WRONG], likelihoods, zeros, zeros, zeros, np.ones((2, 2), bool), np.zeros(2, bool), greedy, clearness
    )
    return scored(made, RIGHT, writer)


def lines(liar: float, clear: float = 0.0) -> list[ScoredLine]:
    """Ten sure lines, ten on which the first member alone errs with `liar` nats of conviction."""
    sure = [line(4.0, 4.0, f"w{i}", (clear, clear)) for i in range(10)]
    return sure + [line(-liar, liar + 2, f"w{i}", (0.6, 0.6)) for i in range(10)]


def staged(lines: list[ScoredLine], order: tuple[int, ...] = (0, 1)) -> Stages:
    return read_in_stages(lines, order, HALVES, SETTINGS, [0.03, 0.02], 0.01, [100] * len(lines))


def chosen(lines: list[ScoredLine], used: tuple[int, ...] = (0, 1), costs: tuple[float, ...] = (0.03, 0.02)) -> Cascade:
    widths = [100] * len(lines)
    return choose_cascade(lines, used, HALVES, SETTINGS, 2, costs=costs, decoding=0.01, widths=widths)


def test_stages_are_read_with_the_first_members_alone() -> None:
    stages = staged(lines(1.0, clear=0.9))
    assert (stages.gains[:10] == 1).all(), "the best path and the decoding of the first, then of both"
    assert (stages.gains[10:, [0, 1]] < 1).all() and (stages.gains[10:, 3] == 1).all()
    assert stages.confidences[0] == pytest.approx([0.9, 1 / (1 + np.exp(-4.0)), 0.9, 1 / (1 + np.exp(-4.0))])
    assert stages.confidences[10, 0] == 0.6
    assert stages.confidences[10, 1] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert stages.confidences[10, 2] == 0, "their best paths differ"
    assert stages.confidences[10, 3] == pytest.approx(1 / (1 + np.exp(-1.0)))  # half of 3 nats less half of 1
    assert (staged(lines(1.0), (1, 0)).gains[:, 1] == 1).all()
    shared = staged([line(4.0, 4.0, "w", (0.9, 0.4))])
    assert shared.confidences[0, 2] == pytest.approx(0.6), "the geometric mean of what both say"


def test_thresholds_part_clear_lines_from_doubtful_ones() -> None:
    """What the best path decides needs no decoding, and what one member decides no other."""
    cascade = chosen(lines(1.0, clear=0.9))
    assert 0.6 <= cascade.thresholds[0] < 0.9 and cascade.thresholds[1] == 1 and cascade.lost == 0
    assert cascade.ends.tolist() == [0] * 10 + [3] * 10
    decoded = chosen(lines(1.0))
    assert 1 / (1 + np.exp(-1.0)) <= decoded.thresholds[1] < 1 / (1 + np.exp(-4.0)) and decoded.lost == 0
    assert decoded.ends.tolist() == [1] * 10 + [3] * 10


def test_the_member_is_asked_first_that_saves_most() -> None:
    """The second is never wrong here, whatever it weighs; with a high price it comes second all the same."""
    assert chosen(lines(1.0)).order == [1, 0]
    assert chosen(lines(1.0), costs=(0.01, 0.5)).order == [0, 1]


def test_where_the_first_member_is_sure_and_wrong_all_are_asked() -> None:
    cascade = choose_in_order(staged(lines(6.0)), [0, 1], np.arange(20) % 2)
    assert (cascade.thresholds, cascade.lost) == (NEVER, 0)


def test_a_loss_on_other_writers_lowers_what_is_tried() -> None:
    """Some writers' lines would choose a threshold that loses on the others'."""
    sure = [line(4.0, 4.0, f"w{2 * i}", (0.9, 0.9)) for i in range(10)]
    wrong = [line(-5.0, 9.0, f"w{2 * i + 1}", (0.95, 0.95)) for i in range(10)]
    cascade = choose_in_order(staged(sure + wrong), [0, 1], np.repeat([0, 1], 10))
    assert cascade.thresholds == NEVER and cascade.lost <= LOSS


def test_a_small_loss_is_allowed_and_no_more() -> None:
    confidences = np.array([[0.95, 0, 0, 0], [0.9, 0, 0, 0], [0.8, 0, 0, 0], [0.6, 0, 0, 0]])
    gains = np.array([[1, 1, 1, 1.0], [0.999, 1, 1, 1], [0.99, 1, 1, 1], [1, 1, 1, 1]])
    stages = Stages([[""] * 4] * 4, confidences, gains, np.array([0.03, 0.02]), 0.01, np.full(4, 100.0), confidences)
    assert choose_thresholds(stages, 0.0) == (0.9, 1)
    assert choose_thresholds(stages, 0.0005) == (0.8, 1)
    assert choose_thresholds(stages, 0.01) == (0.6, 1)
    assert choose_thresholds(replace(stages, gains=gains - [[1, 0, 0, 0]]), 0.0) == NEVER


def test_seconds_and_shares() -> None:
    confidences = np.array([[0.9, 0, 0, 0], [0, 0.9, 0, 0], [0, 0, 0.9, 0], [0, 0, 0, 0]])
    stages = Stages(
        [[""] * 4] * 4, confidences, np.ones((4, 4)), np.array([0.03, 0.02]), 0.01, np.full(4, 100.0), confidences
    )
    ends = stages.ends((0.5, 0.5))
    assert ends.tolist() == [0, 1, 2, 3]
    assert stages.seconds(ends, (0.5, 0.5)) == pytest.approx([0.03, 0.04, 0.06, 0.08]), "the second stage was in vain"
    assert stages.ends((0.5, 1.0)).tolist() == [0, 3, 2, 3]
    assert stages.seconds(stages.ends((0.5, 1.0)), (0.5, 1.0)) == pytest.approx([0.03, 0.07, 0.05, 0.07])
    wide = replace(stages, widths=np.array([50.0, 50, 50, 250]))
    assert wide.seconds(ends, (0.5, 0.5)) == pytest.approx([0.015, 0.02, 0.03, 0.2])
    measured = Cascade([0, 1], (0.5, 0.5), stages, ends, 0.0).measured()
    assert measured["done_at"] == [0.25] * 4 and measured["slowest_s"] == pytest.approx(0.08)


def test_what_is_said_of_the_lines_is_what_the_cascade_reads() -> None:
    """Lines that are done early have the confidence and the text of their stage, the others those of before."""
    made = lines(1.0, clear=0.9)
    stages = staged(made)
    before = judge([RIGHT] * 19 + [WRONG], [0.7] * 20, made)
    after = Cascade([0, 1], (0.5, 1.0), stages, stages.ends((0.5, 1.0)), 0.0).judged(made, before)
    assert after.answers == [RIGHT] * 10 + [WRONG] * 10 and after.sure == [0.9] * 10 + [0.6] * 10
    later = Cascade([0, 1], (0.7, 1.0), stages, stages.ends((0.7, 1.0)), 0.0).judged(made, before)
    assert later.answers == before.answers and later.sure == [0.9] * 10 + [0.7] * 10


def test_a_clear_line_is_as_sure_as_the_reader_says_of_it() -> None:
    """The threshold looks at the likelihood, what is told at all clues."""
    trusting = replace(SETTINGS, trust=(1.0, 0.1, 0.5, 0.2, 0.3, -0.01, 0.0))
    made = line(4.0, 4.0, "w", (0.9, 0.9))
    stages = read_in_stages([made], [0, 1], HALVES, trusting, [0.03, 0.02], 0.01, [100])
    told = trust(trusting.trust, clues(np.inf, np.log(0.9), 0.0, 0.0, RIGHT))
    assert stages.confidences[0, 0] == pytest.approx(0.9) and stages.sure[0, 0] == pytest.approx(told)
    assert stages.sure[0, 1] == stages.confidences[0, 1] == pytest.approx(confidence(made, np.array([1, 0]), trusting))

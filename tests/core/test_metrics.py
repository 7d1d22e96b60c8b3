"""Scores against values worked out by hand."""

import pytest

from netchu.core.metrics import accuracy_by_character, line_score, score


def test_line_score_follows_the_formula() -> None:
    label = "a" * 37
    assert line_score(label, label) == 1.0
    for edits in (1, 2, 3, 8):
        assert line_score(label[:-edits], label) == pytest.approx(1 - 1.5**edits / 37)
    assert line_score(label[:-9], label) == 0.0
    assert line_score("b" * 5000, label) == 0.0


def test_empty_lines() -> None:
    assert line_score("", "") == 1.0
    assert line_score("x", "") == 0.0


def test_score_sums_edits_over_all_lines() -> None:
    scores = score(["abcd", "xy z"], ["abcd", "xyz z"])
    assert scores.cer == pytest.approx(1 / 9)
    assert scores.wer == pytest.approx(1 / 3)
    assert scores.exact == 0.5
    assert scores.kalapa_score == pytest.approx((1 + 1 - 1.5 / 5) / 2)


def test_decomposed_text_is_the_same_text() -> None:
    assert score(["Hue\u0302\u0301"], ["Huế"]).exact == 1.0


def test_missing_diacritic_counts() -> None:
    assert score(["Hue"], ["Huế"]).cer == pytest.approx(1 / 3)


def test_unpaired_lines_are_an_error() -> None:
    with pytest.raises(ValueError, match="1 answers against 2"):
        score(["a"], ["a", "b"])


def test_accuracy_by_character_aligns() -> None:
    assert accuracy_by_character(["bat"], ["boat"]) == {"a": (1, 1), "b": (1, 1), "o": (0, 1), "t": (1, 1)}
    assert accuracy_by_character(["xboat"], ["boat"])["b"] == (1, 1)

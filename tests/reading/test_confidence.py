"""Confidence by character: texts join to the reading, alternatives are what the time steps hold."""

import itertools

import numpy as np
import pytest

from netchu.core.charset import BLANK, Charset
from netchu.ctc.decoders import LogProbs, Reading, greedy
from netchu.serve.confidence import DetailedReading, Guess, align, best_path_spans, detail, votes

CHARSET = Charset(" abc")


def steps(*rows: dict[int, float]) -> LogProbs:
    """log_probs with the given probabilities, the rest spread evenly."""
    probs = np.zeros((len(rows), len(CHARSET)))
    for t, row in enumerate(rows):
        free = [c for c in range(len(CHARSET)) if c not in row]
        probs[t, free] = (1 - sum(row.values())) / len(free)
        for code, value in row.items():
            probs[t, code] = value
    return np.log(probs).astype(np.float32)


def read(log_probs: LogProbs) -> DetailedReading:
    reading = detail(greedy(log_probs, CHARSET), log_probs, CHARSET)
    return reading


def test_characters_and_their_alternatives() -> None:
    reading = read(steps({2: 0.96}, {0: 0.96}, {3: 0.6, 4: 0.35}, {3: 0.5, 0: 0.45}, {0: 0.96}))
    assert reading.text == "ab"
    a, b = reading.characters
    assert (a.text, a.confidence) == ("a", 0.96)
    assert (b.text, b.confidence) == ("b", 0.6)
    assert b.alternatives[0] == Guess("c", 0.35)
    assert all(guess.confidence < 0.02 for guess in a.alternatives)
    assert reading.lines[0].text == "ac"
    assert reading.lines[0].confidence == pytest.approx(reading.confidence * 0.35 / 0.6, abs=1e-3)


def test_a_doubtful_character_may_be_left_out() -> None:
    reading = read(steps({2: 0.97}, {3: 0.55, 0: 0.42}))
    assert reading.characters[1].alternatives[0] == Guess("", 0.42)
    assert reading.lines[0].text == "a"


def test_an_empty_line_has_no_characters() -> None:
    reading = read(steps({0: 0.9}, {0: 0.9}))
    assert (reading.text, reading.characters, reading.lines) == ("", [], [])


def test_spaces_at_the_ends_belong_to_no_character() -> None:
    reading = read(steps({1: 0.9}, {2: 0.9}, {1: 0.9}, {3: 0.9}, {1: 0.9}))
    assert "".join(c.text for c in reading.characters) == reading.text == "a b"


def test_alignment_agrees_with_the_best_path_and_with_all_paths() -> None:
    rng = np.random.default_rng(0)
    letters = Charset("abcd")  # no space, so nothing is stripped
    for _ in range(20):
        log_probs = np.log(rng.dirichlet(np.ones(len(letters)), 6)).astype(np.float32)
        text = greedy(log_probs, letters).text
        assert align(log_probs, letters.encode(text)) == best_path_spans(log_probs, letters, text)
    log_probs = np.log(rng.dirichlet(np.ones(len(CHARSET)), 5)).astype(np.float32)
    codes = [2, 2, 3]

    def collapse(path: tuple[int, ...]) -> list[int]:
        return [c for c, _ in itertools.groupby(path) if c != BLANK]

    paths = [p for p in itertools.product(range(len(CHARSET)), repeat=5) if collapse(p) == codes]
    best = max(paths, key=lambda p: sum(log_probs[t, c] for t, c in enumerate(p)))
    expected = [(c, list(group)) for c, group in itertools.groupby(enumerate(best), key=lambda tc: tc[1]) if c != BLANK]
    assert align(log_probs, codes) == [(c, group[0][0], group[-1][0] + 1) for c, group in expected]
    with pytest.raises(ValueError, match="5 time steps are too few"):
        align(log_probs, [2, 2, 2, 2])


def test_any_decoder_can_be_wrapped() -> None:
    """A text that the best path does not say is laid over the time steps all the same."""
    log_probs = steps({2: 0.9}, {0: 0.9}, {3: 0.6, 4: 0.35})
    reading = detail(Reading("ac", 0.3), log_probs, CHARSET)
    assert reading.text == "ac"
    assert [(c.text, c.confidence) for c in reading.characters] == [("a", 0.9), ("c", 0.35)]
    assert reading.characters[1].alternatives[0] == Guess("b", 0.6)


def test_other_lines_are_those_of_the_decoder_where_it_has_some() -> None:
    log_probs = np.log(np.full((4, len(CHARSET)), 1 / len(CHARSET), np.float32))
    reading = Reading("a", 0.5, (0.5,), (("b", 0.3), ("c", 0.001)))
    assert detail(reading, log_probs, CHARSET).lines == [Guess("b", 0.3)]


def test_a_text_that_the_steps_cannot_hold_has_no_characters() -> None:
    log_probs = np.log(np.full((2, len(CHARSET)), 1 / len(CHARSET), np.float32))
    assert detail(Reading("abc", 0.5), log_probs, CHARSET).characters == []


def test_other_texts_tell_what_else_a_character_may_be() -> None:
    """The vote of the whole reading goes before one member's steps; all chances of a place stay within 1."""
    log_probs = steps({2: 0.9}, {0: 0.9}, {3: 0.6, 4: 0.35})
    reading = Reading("ab", 0.7, (0.98, 0.75), (("aa", 0.2), ("a", 0.04), ("abc", 0.01)))
    a, b = detail(reading, log_probs, CHARSET).characters
    assert (a.confidence, b.confidence) == (0.98, 0.75)
    assert b.alternatives[:2] == [Guess("a", 0.2), Guess("", 0.04)]
    for character in (a, b):
        assert character.confidence + sum(guess.confidence for guess in character.alternatives) <= 1.0001
    assert votes("ab", reading.alternatives) == [{}, {"a": 0.2, "": 0.04}]
    assert votes("", [("a", 0.1)]) == []


def test_a_threshold_says_which_lines_are_safe() -> None:
    log_probs = steps({2: 0.9})
    safe = [detail(Reading("a", 0.5), log_probs, CHARSET, accept=accept).accept for accept in (None, 0.5, 0.51)]
    assert safe == [None, True, False]

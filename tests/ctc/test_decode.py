"""The best path and greedy decoding: repeats collapse, blanks drop, and no answer is more than certain."""

import numpy as np
import pytest

from netchu.core.charset import Charset
from netchu.ctc.best_path import best_path
from netchu.ctc.decoders import greedy

CHARSET = Charset("ab ")


def spikes(classes: list[int], sure: float = 0.97) -> np.ndarray:
    """log_probs that put `sure` on the given class of each step."""
    probs = np.full((len(classes), len(CHARSET)), (1 - sure) / (len(CHARSET) - 1), np.float32)
    probs[np.arange(len(classes)), classes] = sure
    return np.log(probs)


@pytest.mark.parametrize(
    ("classes", "text"),
    [([1, 1, 0, 1, 2], "aab"), ([0, 0, 0], ""), ([2, 3, 1], "b a"), ([3, 1, 3], "a"), ([1, 1, 1], "a")],
)
def test_greedy_on_clear_output(classes: list[int], text: str) -> None:
    reading = greedy(spikes(classes), CHARSET)
    assert reading.text == text
    assert 0 < reading.confidence <= 1


def test_no_time_steps_read_as_nothing() -> None:
    assert greedy(np.zeros((0, 4), np.float32), CHARSET).text == ""
    assert best_path(np.zeros((0, 4), np.float32)).stripped(3).classes.tolist() == []


def test_confidence_falls_with_doubt() -> None:
    assert greedy(spikes([1, 0], 0.6), CHARSET).confidence < greedy(spikes([1, 0], 0.99), CHARSET).confidence
    assert greedy(spikes([1, 0], 0.6), CHARSET).confidence == pytest.approx(0.36, rel=1e-4)


def test_where_the_characters_of_the_best_path_stand() -> None:
    line = spikes([3, 0, 1, 1, 0, 1, 2, 3])
    line[3] = spikes([1], 0.99)[0]
    path = best_path(line)
    assert path.classes.tolist() == [3, 1, 1, 2, 3]
    assert (path.starts.tolist(), path.ends.tolist()) == ([0, 2, 5, 6, 7], [1, 4, 6, 7, 8])
    assert path.peaks.tolist() == [0, 3, 5, 6, 7]
    assert np.exp(path.sure) == pytest.approx([0.97, 0.99, 0.97, 0.97, 0.97], rel=1e-4)
    assert path.log_prob == pytest.approx(7 * np.log(0.97) + np.log(0.99), rel=1e-4)
    inner = path.stripped(3)
    assert (inner.classes.tolist(), inner.peaks.tolist()) == ([1, 1, 2], [3, 5, 6])
    assert best_path(spikes([3, 0, 3])).stripped(3).classes.tolist() == []


def test_wrong_width() -> None:
    with pytest.raises(ValueError, match="do not fit a charset of 4 classes"):
        greedy(np.zeros((3, 9), np.float32), CHARSET)


def test_random_lines() -> None:
    """No crash, one certainty a character, and no probability outside of 0 to 1."""
    rng = np.random.default_rng(0)
    for _ in range(3000):
        logits = rng.normal(0, rng.choice([0.5, 3.0, 12.0]), (int(rng.integers(0, 5)), len(CHARSET)))
        line = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
        reading = greedy(line, CHARSET)
        assert len(reading.characters) == len(reading.text) <= len(line)
        assert 0 <= reading.confidence <= 1 and all(0 <= p <= 1 for p in reading.characters)

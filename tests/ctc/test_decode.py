"""Decoders: every registered one collapses repeats, drops blanks, and never answers more than certainty."""

import numpy as np
import pytest

from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.ctc.decoders import DECODERS, build_decoder

CHARSET = Charset("ab ")


def spikes(classes: list[int], sure: float = 0.97) -> np.ndarray:
    """log_probs that put `sure` on the given class of each step."""
    probs = np.full((len(classes), len(CHARSET)), (1 - sure) / (len(CHARSET) - 1), np.float32)
    probs[np.arange(len(classes)), classes] = sure
    return np.log(probs)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(
    ("classes", "text"),
    [([1, 1, 0, 1, 2], "aab"), ([0, 0, 0], ""), ([2, 3, 1], "b a"), ([3, 1, 3], "a"), ([1, 1, 1], "a")],
)
def test_every_decoder_on_clear_output(name: str, classes: list[int], text: str) -> None:
    reading = build_decoder(name)(spikes(classes), CHARSET)
    assert reading.text == text
    assert 0 < reading.confidence <= 1


@pytest.mark.parametrize("name", DECODERS)
def test_no_time_steps_read_as_nothing(name: str) -> None:
    assert build_decoder(name)(np.zeros((0, 4), np.float32), CHARSET).text == ""


def test_confidence_falls_with_doubt() -> None:
    greedy = build_decoder("greedy")
    assert greedy(spikes([1, 0], 0.6), CHARSET).confidence < greedy(spikes([1, 0], 0.99), CHARSET).confidence
    assert greedy(spikes([1, 0], 0.6), CHARSET).confidence == pytest.approx(0.36, rel=1e-4)


def test_wrong_width_and_unknown_name() -> None:
    with pytest.raises(ValueError, match="do not fit a charset of 4 classes"):
        build_decoder("greedy")(np.zeros((3, 9), np.float32), CHARSET)
    with pytest.raises(NetchuError, match="decoder 'beem'"):
        build_decoder("beem")


@pytest.mark.parametrize("name", DECODERS)
def test_ten_thousand_random_lines(name: str) -> None:
    """No crash, one certainty a character, and no probability outside of 0 to 1."""
    rng, decode = np.random.default_rng(0), build_decoder(name)
    for _ in range(10_000):
        logits = rng.normal(0, rng.choice([0.5, 3.0, 12.0]), (int(rng.integers(0, 5)), len(CHARSET)))
        line = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
        reading = decode(line, CHARSET)
        assert len(reading.characters) == len(reading.text) <= len(line)
        assert 0 <= reading.confidence <= 1 and all(0 <= p <= 1 for p in reading.characters)
        others = [p for _, p in reading.alternatives]
        assert others == sorted(others, reverse=True) and sum(others) <= 1 + 1e-5

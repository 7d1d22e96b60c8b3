"""Prefix beam search against brute force: every alignment of a small line summed up."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from netchu.ctc.beam import propose
from netchu.ctc.likelihood import log_likelihoods

Sequence = tuple[int, ...]


def random_line(rng: np.random.Generator, steps: int, classes: int) -> np.ndarray:
    """log_probs (steps, classes), from flat to very sure."""
    logits = rng.normal(0, rng.choice([0.5, 3.0, 12.0]), (steps, classes))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def sums_over_alignments(line: np.ndarray) -> dict[Sequence, float]:
    """Probability of each text: all paths through the frames, collapsed."""
    probs: dict[Sequence, float] = defaultdict(float)
    for path in product(range(line.shape[1]), repeat=len(line)):
        text = tuple(c for i, c in enumerate(path) if c and (i == 0 or c != path[i - 1]))
        probs[text] += float(np.exp(line[np.arange(len(line)), list(path)].astype(float).sum()))
    return probs


def search(line: np.ndarray, width: int, floor: float = -7.0) -> list[tuple[Sequence, float]]:
    """(text, exact log-likelihood) of the proposed texts, the likeliest first."""
    texts = propose(line, width=width, floor=floor)
    return sorted(zip(texts, log_likelihoods(line, texts).tolist(), strict=True), key=lambda pair: -pair[1])


@pytest.mark.parametrize("seed", range(20))
def test_exact_against_all_alignments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = random_line(rng, int(rng.integers(1, 7)), int(rng.integers(2, 5)))
    truth = sums_over_alignments(line)
    texts = list(truth)
    assert np.allclose(np.exp(log_likelihoods(line, texts)), [truth[t] for t in texts], rtol=1e-5, atol=1e-12)
    found = search(line, width=2000, floor=-1e9)
    best = sorted(truth.values(), reverse=True)
    likely = [p for p in best if p > 0.02 * best[0]]
    assert np.allclose([np.exp(value) for _, value in found][: len(likely)], likely, rtol=1e-4, atol=1e-9)
    assert search(line, width=16)[0][1] == pytest.approx(np.log(best[0]), rel=1e-4, abs=1e-6)


def by_sums_of_logarithms(line: np.ndarray, text: Sequence) -> float:
    """The forward algorithm as it is written down, one text at a time."""
    labels = [0, *(x for c in text for x in (c, 0))]
    alpha = np.full(len(labels), -np.inf)
    alpha[:2] = line[0, labels[:2]]
    for frame in line[1:].astype(float):
        before = alpha.copy()
        for s, label in enumerate(labels):
            ways = [before[s], *before[max(0, s - 1) : s]]
            if s > 1 and label and label != labels[s - 2]:
                ways.append(before[s - 2])
            alpha[s] = np.logaddexp.reduce(ways) + frame[label]
    return float(np.logaddexp.reduce(alpha[-2:]))


def test_likelihoods_of_long_lines_do_not_underflow() -> None:
    """Sure outputs of 400 frames, where one text is near and one is thousands of nats away."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 4, (400, 12))
    logits[np.arange(400), rng.choice([0, 0, 0, 5, 7], 400)] += 30
    line = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    near = tuple(propose(line, width=4)[0])
    for text in (near, near[:-3], (1, 2, 3), ()):
        expected = by_sums_of_logarithms(line, text)
        assert log_likelihoods(line, [text, near])[0] == pytest.approx(expected, rel=1e-6), text
    assert by_sums_of_logarithms(line, (1, 2, 3)) < -3000


def test_texts_without_alignment() -> None:
    line = np.log(np.full((3, 3), 1 / 3, np.float32))
    values = log_likelihoods(line, [(1, 1), (1, 1, 1), (1, 2, 1, 2), ()])
    assert np.isfinite(values).tolist() == [True, False, False, True]
    assert np.exp(values[0]) == pytest.approx(1 / 27, rel=1e-5)
    assert log_likelihoods(line[:0], [(), (1,)]).tolist() == [0.0, -np.inf]
    assert log_likelihoods(line, []).shape == (0,)


def test_random_lines() -> None:
    """No crash, no text twice, no spaces at the ends."""
    rng = np.random.default_rng(0)
    for _ in range(3000):
        line = random_line(rng, int(rng.integers(0, 6)), int(rng.integers(1, 6)))
        found = propose(line, width=4, space=1)
        assert len(set(found)) == len(found) <= 4
        assert all(not text or (text[0] != 1 and text[-1] != 1) for text in found)


def test_spaces_at_the_ends_are_taken_off() -> None:
    line = np.log(np.full((5, 3), 0.01, np.float32))
    line[np.arange(5), [1, 2, 1, 2, 1]] = np.log(0.98)
    assert propose(line, space=1)[0] == (2, 1, 2)
    assert propose(line)[0] == (1, 2, 1, 2, 1)


class Favourite:
    """A scorer that likes one class."""

    def __init__(self, label: int, bonus: float) -> None:
        self.label, self.bonus = label, bonus

    def start(self) -> object:
        return 0

    def advance(self, state: object, label: int) -> tuple[object, float]:
        assert isinstance(state, int)
        return state + 1, self.bonus * (label == self.label)


def test_a_scorer_changes_the_order() -> None:
    line = np.log(np.array([[0.1, 0.5, 0.4], [0.9, 0.05, 0.05]], np.float32))
    plain, liked = propose(line), propose(line, scorer=Favourite(2, 1.0))
    assert plain[0] == (1,) and liked[0] == (2,)
    assert set(plain) == set(liked)

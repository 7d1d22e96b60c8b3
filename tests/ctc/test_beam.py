"""Prefix beam search against brute force: every alignment of a small line summed up."""

from collections import abc, defaultdict
from itertools import product

import numpy as np
import pytest

from netchu.ctc.beam import search
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


@pytest.mark.parametrize("seed", range(20))
def test_exact_against_all_alignments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = random_line(rng, int(rng.integers(1, 7)), int(rng.integers(2, 5)))
    truth = sums_over_alignments(line)
    texts = list(truth)
    assert np.allclose(np.exp(log_likelihoods(line, texts)), [truth[t] for t in texts], rtol=1e-5, atol=1e-12)
    found = search(line, width=2000, best=2000, floor=-1e9)
    best = sorted(truth.values(), reverse=True)[: len(found)]
    assert np.allclose([np.exp(h.log_prob) for h in found], best, rtol=1e-4, atol=1e-9)
    narrow = search(line, width=16)
    assert narrow[0].log_prob == pytest.approx(np.log(best[0]), rel=1e-4, abs=1e-6)


def test_texts_without_alignment() -> None:
    line = np.log(np.full((3, 3), 1 / 3, np.float32))
    values = log_likelihoods(line, [(1, 1), (1, 1, 1), (1, 2, 1, 2), ()])
    assert np.isfinite(values).tolist() == [True, False, False, True]
    assert np.exp(values[0]) == pytest.approx(1 / 27, rel=1e-5)
    assert log_likelihoods(line[:0], [(), (1,)]).tolist() == [0.0, -np.inf]
    assert log_likelihoods(line, []).shape == (0,)


def test_ten_thousand_random_lines() -> None:
    """No crash, sorted, no probability above 1 nor a sum of them, no text twice."""
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        line = random_line(rng, int(rng.integers(0, 6)), int(rng.integers(1, 6)))
        found = search(line, width=4, best=4, space=1)
        values = [h.log_prob for h in found]
        assert values == sorted(values, reverse=True)
        assert sum(map(np.exp, values)) <= 1 + 1e-5
        assert max(values, default=0.0) <= 0
        assert len({h.classes for h in found}) == len(found) <= 4


def test_spaces_at_the_ends_are_taken_off() -> None:
    line = np.log(np.full((5, 3), 0.01, np.float32))
    line[np.arange(5), [1, 2, 1, 2, 1]] = np.log(0.98)
    assert search(line, space=1)[0].classes == (2, 1, 2)
    assert search(line)[0].classes == (1, 2, 1, 2, 1)


class Favourite:
    """A scorer that likes one class."""

    def __init__(self, label: int, bonus: float) -> None:
        self.label, self.bonus = label, bonus

    def start(self) -> object:
        return 0

    def advance(self, state: object, label: int) -> object:
        assert isinstance(state, int)
        return state + 1

    def row(self, state: object) -> np.ndarray:
        row = np.zeros(3, np.float32)
        row[self.label] = self.bonus
        return row

    def score(self, sequence: abc.Sequence[int]) -> float:
        return self.bonus * sequence.count(self.label)


def test_scorer_changes_the_order_and_not_the_likelihood() -> None:
    line = np.log(np.array([[0.1, 0.5, 0.4], [0.9, 0.05, 0.05]], np.float32))
    plain, liked = search(line), search(line, scorer=Favourite(2, 1.0))
    assert plain[0].classes == (1,) and liked[0].classes == (2,)
    by_text = {h.classes: h.log_prob for h in plain}
    assert all(h.log_prob == pytest.approx(by_text[h.classes]) for h in liked if h.classes in by_text)
    assert liked[0].language == 1.0 and liked[0].score == pytest.approx(liked[0].log_prob + 1)

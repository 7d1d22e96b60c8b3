"""The best CTC path of a known text, against a search of all paths."""

import itertools

import numpy as np
import pytest

from netchu.ctc.alignment import align


def collapse(path: tuple[int, ...]) -> list[int]:
    return [c for c, _ in itertools.groupby(path) if c]


@pytest.mark.parametrize("codes", [[], [1], [1, 2], [1, 1], [2, 1, 2], [1, 1, 2]])
def test_path_is_the_best_of_all(codes: list[int]) -> None:
    rng = np.random.default_rng(len(codes))
    for _ in range(20):
        log_probs = np.log(rng.dirichlet(np.ones(3), 5)).astype(np.float32)
        paths = [p for p in itertools.product(range(3), repeat=5) if collapse(p) == codes]
        scores = [sum(float(log_probs[t, c]) for t, c in enumerate(p)) for p in paths]
        steps, total = align(log_probs, codes)
        assert total == pytest.approx(max(scores), abs=1e-4)
        best = paths[int(np.argmax(scores))]
        assert [best[s] for s in steps] == codes
        assert (np.diff(steps) > 0).all()


def test_too_few_time_steps() -> None:
    with pytest.raises(ValueError, match="2 time steps are too few for 2 characters"):
        align(np.full((2, 3), -1.0, np.float32), [1, 1])  # a blank must stand between equals


def test_long_lines() -> None:
    """More states than a byte can count."""
    codes = [1, 2] * 60
    log_probs = np.full((400, 3), -6.0, np.float32)
    log_probs[np.arange(400), [codes[t // 3] if t % 3 == 1 and t < 360 else 0 for t in range(400)]] = -0.01
    steps, _ = align(log_probs, codes)
    assert steps.tolist() == list(range(1, 360, 3))

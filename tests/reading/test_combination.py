"""Members averaged frame by frame: the mean, the grid, and how far their spikes stand apart."""

import numpy as np
import pytest

from netchu.core.preprocess import Geometry
from netchu.reading.combination import AVERAGES, average_frames, frame_positions, spike_offset


def random_members(count: int, steps: int = 7, classes: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.log(rng.dirichlet(np.ones(classes), steps)).astype(np.float32) for _ in range(count)]


def spiky(steps: int, spikes: dict[int, int], classes: int = 4) -> np.ndarray:
    """log_probs of blanks with sure spikes: frame -> class."""
    probs = np.full((steps, classes), 0.01)
    probs[:, 0] = 0.97
    for frame, label in spikes.items():
        probs[frame] = 0.01
        probs[frame, label] = 0.97
    return np.log(probs).astype(np.float32)


def test_probs_give_the_mean_probability() -> None:
    members = random_members(3)
    mean = average_frames(members, [np.arange(7.0)] * 3)
    assert np.allclose(np.exp(mean), np.mean([np.exp(m) for m in members], axis=0), atol=1e-6)
    weighted = average_frames(members, [np.arange(7.0)] * 3, weights=[1, 0, 3])
    assert np.allclose(np.exp(weighted), (np.exp(members[0]) + 3 * np.exp(members[2])) / 4, atol=1e-6)


@pytest.mark.parametrize("kind", AVERAGES)
def test_every_average_sums_to_one_on_any_grid(kind: str) -> None:
    members = [random_members(1, 7)[0], random_members(1, 11)[0]]
    mean = average_frames(members, [np.linspace(0, 1, 7), np.linspace(0, 1, 11)], kind=kind)
    assert mean.shape == (11, 5)
    assert np.allclose(np.exp(mean).sum(axis=1), 1, atol=1e-4)
    alone = average_frames(members[:1], [np.arange(7.0)], kind=kind)
    assert np.array_equal(alone, members[0])


def test_averaging_logits_is_averaging_log_probs() -> None:
    rng = np.random.default_rng(1)
    logits = [rng.normal(0, 3, (6, 5)) for _ in range(2)]
    normal = [(x - np.logaddexp.reduce(x, axis=1, keepdims=True)).astype(np.float32) for x in logits]
    mean = (logits[0] + logits[1]) / 2
    mean -= np.logaddexp.reduce(mean, axis=1, keepdims=True)
    assert np.allclose(average_frames(normal, [np.arange(6.0)] * 2, kind="log_probs"), mean, atol=1e-5)


def test_interpolated_member_stays_in_place() -> None:
    """A spike at the same place of the line, seen on grids of stride 4 and stride 8, stays one spike."""
    geometry = Geometry(height=32, max_width=512, pad=8)
    positions = [frame_positions(256 // stride, stride, geometry, 240) for stride in (4, 8)]
    members = [spiky(len(own), {int(np.abs(own - 0.5).argmin()): 1}) for own in positions]
    mean = np.exp(average_frames(members, positions))
    assert mean.shape == (64, 4)
    assert np.allclose(mean.sum(axis=1), 1, atol=1e-5)
    assert abs(positions[0][mean[:, 1].argmax()] - 0.5) < 8 / 240


def test_offset_of_spikes_is_in_frames() -> None:
    positions = [np.arange(20) / 20] * 2
    here, there = spiky(20, {3: 1, 9: 2, 15: 3}), spiky(20, {4: 1, 10: 2, 17: 3})
    assert spike_offset([here, there], positions) == pytest.approx(4 / 3)
    assert spike_offset([here, here], positions) == 0
    assert spike_offset([here, spiky(20, {3: 2})], positions) is None
    assert spike_offset([here[:0], here], [positions[0][:0], positions[1]]) is None

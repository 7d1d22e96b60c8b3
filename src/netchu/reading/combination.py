"""Several members' outputs of one line as one: averaged frame by frame on a common time grid.

This presumes that the members spike at the same positions of the line (Kurata and Audhkhasi 2019, arXiv:1904.08311, on
why they need not); `spike_offset` measures it. Where they do not, `candidates` scores whole texts instead.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from netchu.core.preprocess import Geometry
from netchu.ctc.best_path import best_path
from netchu.ctc.likelihood import LogProbs

APART = 0.5  # frames: members whose spikes are further apart than this are not to be averaged
FramePositions = NDArray[np.float64]  # (T,)


def frame_positions(steps: int, width_stride: int, geometry: Geometry, width: int) -> FramePositions:
    """Middle of each time step as a share of the line's width: 0 its left edge, 1 its right one, padding outside."""
    return ((np.arange(steps) + 0.5) * width_stride - geometry.pad) / width


def average_frames(
    outputs: Sequence[LogProbs],
    positions: Sequence[FramePositions],
    *,
    kind: str = "probs",
    weights: Sequence[float] | None = None,
) -> LogProbs:
    """The members' weighted mean (T, C) as log_probs, on the grid of the member with the most time steps.

    `positions` gives for each member where its frames stand on the line; the others are interpolated linearly.
    `kind` is a key of AVERAGES: what is averaged.
    """
    if len(outputs) == 1:
        return outputs[0]
    forward, back = AVERAGES[kind]
    shares = np.ones(len(outputs)) if weights is None else np.asarray(weights, np.float64)
    grid = positions[max(range(len(outputs)), key=lambda m: len(outputs[m]))]
    total = np.zeros((len(grid), outputs[0].shape[1]), dtype=np.float64)
    for log_probs, own, share in zip(outputs, positions, shares / shares.sum(), strict=True):
        values = forward(log_probs.astype(np.float64))
        if len(own) == len(grid) and np.allclose(own, grid):
            total += share * values
            continue
        position = np.interp(grid, own, np.arange(len(own)))
        left = np.minimum(position.astype(int), len(own) - 1)
        right = np.minimum(left + 1, len(own) - 1)
        part = (position - left)[:, None]
        total += share * (values[left] * (1 - part) + values[right] * part)
    return back(total).astype(np.float32)  # type: ignore[no-any-return]


def spike_offset(outputs: Sequence[LogProbs], positions: Sequence[FramePositions]) -> float | None:
    """How far apart members put the same characters, in frames of the coarsest member: the mean over the characters
    that both of a pair read, greatest pair. None when no two members read a character alike."""
    paths = zip(map(best_path, outputs), positions, strict=True)
    spikes = [(path.classes.tolist(), own[path.peaks]) for path, own in paths]  # where each character is surest
    frame = max((own[1] - own[0] for own in positions if len(own) > 1), default=1.0)
    offsets = []
    for i, (labels, where) in enumerate(spikes):
        for others, elsewhere in spikes[i + 1 :]:
            if len(labels) and labels == others:
                offsets.append(float(np.abs(np.subtract(where, elsewhere)).mean() / frame))
    return max(offsets, default=None)


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of any logarithms made to sum to 1 after exp."""
    return np.asarray(values - np.logaddexp.reduce(values, axis=1, keepdims=True))


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm with a floor."""
    return np.asarray(np.log(np.maximum(values, 1e-30)))


def _same(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values


Change = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# What is averaged: (log_probs -> that, mean of it -> log_probs). Averaging logits gives what log_probs give: they
# differ by one number a frame, which cancels when the mean is normalised.
AVERAGES: dict[str, tuple[Change, Change]] = {
    "probs": (np.exp, _log),
    "log_probs": (_same, _normalised),
}

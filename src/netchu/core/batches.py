"""Network inputs in batches of one width, so that no line is padded by another and its answer depends on itself."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from netchu.core.preprocess import Input

Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]  # images (N, 1, H, W) -> log_probs (N, T, C)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Prediction:
    """log_probs (T, C) float32 of one line and the seconds of its share of the batch."""

    log_probs: Floats
    seconds: float


def run_batches(inputs: Sequence[Input], run: Run, *, batch_size: int, pixels: int = 0) -> list[Prediction]:
    """What `run` says of each input (1, H, W), in order; at most `batch_size` of one width together, and of wide ones
    only so many as have `pixels` pixels (0: no such limit)."""
    by_width: dict[int, list[int]] = {}
    for i, image in enumerate(inputs):
        by_width.setdefault(image.shape[2], []).append(i)
    results: dict[int, Prediction] = {}
    for positions in by_width.values():
        size = max(1, min(batch_size, pixels // inputs[positions[0]].size)) if pixels else batch_size
        for start in range(0, len(positions), size):
            chosen = positions[start : start + size]
            began = time.perf_counter()
            log_probs = run(np.stack([inputs[i] for i in chosen]))
            share = (time.perf_counter() - began) / len(chosen)
            for row, i in enumerate(chosen):
                results[i] = Prediction(log_probs[row], share)
    return [results[i] for i in range(len(inputs))]


def in_chunks(lines: Sequence[Item], size: int, what: str) -> Iterator[Sequence[Item]]:
    """The lines, `size` at a time, while a bar named `what` counts those that are done."""
    with tqdm(total=len(lines), unit="line", desc=what) as bar:
        for start in range(0, len(lines), size):
            chosen = lines[start : start + size]
            yield chosen
            bar.update(len(chosen))

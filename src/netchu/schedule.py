"""How training moves: learning rate over steps, and the exponential moving average of weights."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def learning_rate(schedule: str, total_steps: int, warmup: float) -> Callable[[int], float]:
    """Factor of the peak learning rate at a step: linear warm-up (from 1/25 for onecycle), then a half cosine to ~0."""
    rising = max(1, round(warmup * total_steps))
    start = 1 / 25 if schedule == "onecycle" else 0.0

    def factor(step: int) -> float:
        if step < rising:
            return start + (1 - start) * (step + 1) / rising
        done = min(1.0, (step - rising) / max(1, total_steps - rising))
        return max(1e-4, 0.5 * (1 + math.cos(math.pi * done)))

    return factor


def build_ema(model: nn.Module, decay: float) -> AveragedModel:
    """Moving average of weights and batch statistics; the decay grows to its value over the first steps."""

    def average(averages: Sequence[Tensor], currents: Sequence[Tensor], updates: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(updates)) / (10 + int(updates)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(currents), weight)
        else:  # counters of batch norm
            for mean, current in zip(averages, currents, strict=True):
                mean.copy_(current)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)

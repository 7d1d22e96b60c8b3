"""How training moves: learning rate over steps, and the exponential moving average of weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def learning_rate(schedule: str, warmup: float) -> Callable[[float], float]:
    """Factor of the peak learning rate when a share of the training (0 to 1) is done: linear warm-up over the share
    `warmup` (from 1/25 for onecycle), then a half cosine to ~0."""
    start = 1 / 25 if schedule == "onecycle" else 0.0

    def factor(progress: float) -> float:
        if progress < warmup:
            return start + (1 - start) * progress / warmup
        done = min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))
        return max(1e-4, 0.5 * (1 + math.cos(math.pi * done)))

    return factor


def build_ema(model: nn.Module, decay: float) -> AveragedModel:
    """Moving average of weights and batch statistics; the decay grows to its value over the first steps."""

    def average(averages: Sequence[Tensor], currents: Sequence[Tensor], _: Tensor | int) -> None:
        updates = int(averaged.n_averaged)  # of what is passed here, a GPU would have to be asked
        weight = 1 - min(decay, (1 + updates) / (10 + updates))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(currents), weight)
        else:  # counters of batch norm
            for mean, current in zip(averages, currents, strict=True):
                mean.copy_(current)

    averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    return averaged


class EpochAverage:
    """Mean of a model's weights over several epochs' ends (stochastic weight averaging).

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (UAI 2018). Batch
    statistics are averaged like weights.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: dict[str, Tensor] = {}

    def add(self, model: nn.Module) -> None:
        """Take the model's present weights into the mean."""
        self.count += 1
        for name, tensor in model.state_dict().items():
            if name not in self.mean or not tensor.is_floating_point():
                self.mean[name] = tensor.detach().clone()
            else:
                self.mean[name].lerp_(tensor.detach(), 1 / self.count)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"count": self.count, "mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved mean."""
        self.count, self.mean = state["count"], state["mean"]

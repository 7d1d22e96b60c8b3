"""How weights move: parameter groups and AdamW, the learning rate over a training, averages of weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

HEIGHT, WIDTH = 64, 256  # pixels of the image of the dry run


def stage_of_parameters(backbone: nn.Module) -> dict[str, int]:
    """For each parameter of a backbone by name, its stage: 0 for the layers next to the image, then one more for every
    height of the feature maps. A dry run finds at which height each layer works, so any network will do."""
    heights: dict[nn.Module, int] = {}
    current = HEIGHT

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal current
        if isinstance(module, nn.Conv2d) and inputs[0].shape[-1] > 1:  # not the pooled values of an attention
            current = min(current, int(inputs[0].shape[-2]))
        heights.setdefault(module, current)

    owners = [(name, m) for name, m in backbone.named_modules() if next(m.parameters(recurse=False), None) is not None]
    hooks = [module.register_forward_pre_hook(note) for _, module in owners]
    was_training = backbone.training
    backbone.eval()
    with torch.no_grad():
        backbone(torch.zeros(1, 1, HEIGHT, WIDTH, device=next(backbone.parameters()).device))
    backbone.train(was_training)
    for hook in hooks:
        hook.remove()
    stages = {height: stage for stage, height in enumerate(sorted({HEIGHT, *heights.values()}, reverse=True))}
    return {
        f"{name}.{key}" if name else key: stages[heights.get(module, HEIGHT)]
        for name, module in owners
        for key, _ in module.named_parameters(recurse=False)
    }


def build_optimizer(
    module: nn.Module, backbone: nn.Module, *, lr: float, weight_decay: float, layer_decay: float
) -> torch.optim.AdamW:
    """Fused AdamW. What lies behind the backbone learns at `lr`, its last stage at `lr * layer_decay`, the one before
    at `lr * layer_decay ** 2` and so on. Norms and biases do not decay. Each group keeps its peak rate as `peak_lr`,
    the last group is that of the head."""
    stages = stage_of_parameters(backbone)
    stage_of = {parameter: stages[name] for name, parameter in backbone.named_parameters()}
    behind = max(stages.values()) + 1
    groups: dict[tuple[float, float], dict[str, Any]] = {}  # few of them, since each costs kernels of its own
    for parameter in module.parameters():
        rate = lr * layer_decay ** (behind - stage_of.get(parameter, behind))
        decay = weight_decay if parameter.ndim > 1 else 0.0
        own = {"params": [], "lr": rate, "peak_lr": rate, "weight_decay": decay}
        groups.setdefault((rate, decay), own)["params"].append(parameter)
    return torch.optim.AdamW(sorted(groups.values(), key=lambda group: float(group["lr"])), lr=lr, fused=True)


def learning_rate(warmup: float) -> Callable[[float], float]:
    """Factor of the peak learning rate when a share of the training (0 to 1) is done: linear warm-up over the share
    `warmup`, then a half cosine to ~0."""

    def factor(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
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
            else:  # a mean from a resume state lies on the processor, whatever the model is on
                self.mean[name] = self.mean[name].to(tensor.device).lerp_(tensor.detach(), 1 / self.count)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"count": self.count, "mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved mean."""
        self.count, self.mean = state["count"], state["mean"]

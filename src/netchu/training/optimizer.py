"""The optimiser: AdamW with a learning rate for each depth of the network."""

import re
from typing import Any

import torch
from torch import nn

_STAGE = re.compile(r"\bbackbone\.(?:network\.)?(?:blocks|stages|layer|stages_)[._]?(\d+)")


def depth_of(name: str) -> int:
    """How deep a parameter lies: 0 for the backbone's stem, stage + 1 for its stages, -1 for what follows it."""
    if not re.search(r"\bbackbone\.", name):
        return -1
    stage = _STAGE.search(name)
    return int(stage[1]) + 1 if stage else 0


def build_optimizer(model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float) -> torch.optim.AdamW:
    """Fused AdamW. What lies behind the backbone learns at `lr`, the last stage at `lr * layer_decay`, the one before
    at `lr * layer_decay ** 2` and so on. Each group keeps its peak rate as `peak_lr`."""
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault(depth_of(name), []).append(parameter)
    deepest = max(groups)
    settings: list[dict[str, Any]] = []
    for depth in sorted(groups):
        rate = lr if depth < 0 else lr * layer_decay ** (deepest - depth + 1)
        settings.append({"params": groups[depth], "lr": rate, "peak_lr": rate})
    if layer_decay == 1:  # one group: fewer kernels to start
        settings = [{"params": list(model.parameters()), "lr": lr, "peak_lr": lr}]
    return torch.optim.AdamW(settings, lr=lr, weight_decay=weight_decay, fused=True)

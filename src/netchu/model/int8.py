"""Weights as int8 with one scale a row: half the size of fp16, turned back into floats when they are loaded.

Only what is stored gets smaller; computing stays as it was. A row is an output channel, its scale the largest of its
weights by 127. Small tensors (biases, norms) stay as they are.
"""

import torch
from torch import Tensor

from netchu.model.bundle_file import SCALE

SMALLEST = 1024  # elements under which a tensor stays as it is


def quantise(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with large floating ones of two or more dimensions as int8 and their float32 scales beside them."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.numel() < SMALLEST:
            stored[name] = tensor
            continue
        rows = tensor.float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
        stored[name] = (
            (rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8).reshape(tensor.shape).contiguous()
        )
        stored[name + SCALE] = scale.contiguous()
    return stored

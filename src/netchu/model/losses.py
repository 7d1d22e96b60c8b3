"""What training minimises: CTC on (N, T, C) logits, with the training-only shortcut head.

Logits travel as (N, T, C) everywhere; the permutation that PyTorch's CTC wants happens only here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from netchu.core.charset import BLANK
from netchu.model.recogniser import Recogniser


def ctc(logits: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Mean over lines of -log p(label | image) / length, in float32 outside autocast.

    logits (N, T, C), targets (N, L) padded int64, target_lengths (N,). Every line has T time steps: padding is paper,
    and the model learns to answer blank there. PyTorch reads lengths on the processor, so they are best kept there:
    from a GPU they would be fetched, and the processor would wait for it in every step.
    """
    with torch.autocast(logits.device.type, enabled=False):
        log_probs = logits.float().log_softmax(dim=-1).transpose(0, 1)
        steps = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.int64)
        return functional.ctc_loss(log_probs, targets, steps, target_lengths.cpu(), blank=BLANK)


class CtcObjective(nn.Module):
    """Training step as one module, so that data-parallel wrappers see a single forward: batch -> loss.

    The shortcut head reads the columns before the neck, which teaches the backbone directly; it is dropped at
    inference. Source: Retsinas et al., Best Practices for a Handwritten Text Recognition System (DAS 2022).
    """

    def __init__(self, model: Recogniser, shortcut_weight: float) -> None:
        super().__init__()
        self.model = model
        self.shortcut_weight = shortcut_weight
        classes = model.head.out_features
        inputs = int(model.pool.channels)  # type: ignore[arg-type]
        self.shortcut = nn.Linear(inputs, classes) if shortcut_weight > 0 else None

    def forward(self, images: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Images (N, 1, H, W) and padded targets (N, L) -> scalar loss."""
        columns = self.model.columns(images)
        loss = ctc(self.model.read(columns), targets, target_lengths)
        if self.shortcut is not None:
            loss = loss + self.shortcut_weight * ctc(self.shortcut(columns), targets, target_lengths)
        return loss

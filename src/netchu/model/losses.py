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


def distillation(logits: Tensor, teacher_logits: Tensor, target_lengths: Tensor) -> Tensor:
    """Mean over lines of the divergence KL(teacher || student), summed over time steps, / length: CTC's unit.

    Both logits (N, T, C). Source: Hinton et al., Distilling the Knowledge in a Neural Network (arXiv:1503.02531).
    """
    with torch.autocast(logits.device.type, enabled=False):
        log_probs, teacher = logits.float().log_softmax(dim=-1), teacher_logits.float().log_softmax(dim=-1)
        divergence = functional.kl_div(log_probs, teacher, reduction="none", log_target=True).sum(dim=(1, 2))
        return (divergence / target_lengths.to(divergence.device).clamp(min=1)).mean()


class CtcObjective(nn.Module):
    """Training step as one module, so that data-parallel wrappers see a single forward: batch -> loss.

    The shortcut head reads the columns before the neck, which teaches the backbone directly; it is dropped at
    inference. Source: Retsinas et al., Best Practices for a Handwritten Text Recognition System (DAS 2022).
    A teacher is another model of the same classes and time steps; it is no part of the module, which
    neither trains nor moves it.
    """

    def __init__(
        self, model: Recogniser, shortcut_weight: float, teacher: Recogniser | None = None, teacher_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.teacher_weight = teacher_weight
        self._teacher = [] if teacher is None else [teacher.eval().requires_grad_(False)]
        self.model = model
        self.shortcut_weight = shortcut_weight
        classes = model.head.out_features
        inputs = int(model.pool.channels)  # type: ignore[arg-type]
        self.shortcut = nn.Linear(inputs, classes) if shortcut_weight > 0 else None

    def forward(self, images: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Images (N, 1, H, W) and padded targets (N, L) -> scalar loss."""
        columns = self.model.columns(images)
        logits = self.model.read(columns)
        loss = ctc(logits, targets, target_lengths)
        if self.shortcut is not None:
            loss = loss + self.shortcut_weight * ctc(self.shortcut(columns), targets, target_lengths)
        for teacher in self._teacher:
            with torch.no_grad():
                taught = teacher(images)
            loss = loss + self.teacher_weight * (distillation(logits, taught, target_lengths) - loss)
        return loss

"""A trained model on PyTorch: `predict` computes log-probabilities, `gather_rows` joins those of several processes."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import nn

from netchu.core.batches import Prediction, run_batches
from netchu.core.preprocess import Input
from netchu.model.precision import autocast, choose_precision

Row = TypeVar("Row")


@torch.inference_mode()
def predict(
    model: nn.Module, inputs: Sequence[Input], *, precision: str = "auto", batch_size: int = 16
) -> list[Prediction]:
    """Log-probabilities of each input (1, H, W), in order; only inputs of one width share a batch."""
    device = next(model.parameters()).device
    precision = choose_precision(precision, device)

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        on_device = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
        with autocast(device, precision):
            logits = model(on_device)
        log_probs: NDArray[np.float32] = logits.float().log_softmax(-1).cpu().numpy()
        return log_probs

    return run_batches(inputs, run, batch_size=batch_size)


def gather_rows(rows: list[Row]) -> list[Row]:
    """The rows of all processes, in order of their ranks."""
    return list(gather_object(rows))

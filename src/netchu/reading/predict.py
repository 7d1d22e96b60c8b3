"""A trained model on PyTorch: `predict` computes log-probabilities."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import nn

from netchu.core.preprocess import Input
from netchu.ctc.likelihood import LogProbs
from netchu.model.precision import autocast, choose_precision

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Prediction:
    """log_probs (T, C) float32 of one line and the seconds of its share of the batch."""

    log_probs: LogProbs
    seconds: float


@torch.inference_mode()
def predict(
    model: nn.Module, inputs: Sequence[Input], *, precision: str = "auto", batch_size: int = 16
) -> list[Prediction]:
    """Log-probabilities of each input (1, H, W), in order. Only inputs of one width share a batch, so no line's
    answer depends on its neighbours."""
    device = next(model.parameters()).device
    precision = choose_precision(precision, device)
    by_width: dict[int, list[int]] = {}
    for i, image in enumerate(inputs):
        by_width.setdefault(image.shape[2], []).append(i)
    results: dict[int, Prediction] = {}
    for positions in by_width.values():
        for start in range(0, len(positions), batch_size):
            chosen = positions[start : start + batch_size]
            began = time.perf_counter()
            images = torch.from_numpy(np.stack([inputs[i] for i in chosen])).to(
                device, memory_format=torch.channels_last
            )
            with autocast(device, precision):
                logits = model(images)
            log_probs = logits.float().log_softmax(-1).cpu().numpy()
            share = (time.perf_counter() - began) / len(chosen)
            for row, i in enumerate(chosen):
                results[i] = Prediction(log_probs[row], share)
    return [results[i] for i in range(len(inputs))]


def processes() -> tuple[int, int]:
    """(this process's rank, how many there are) under `accelerate launch`; (0, 1) without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return 0, 1
    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes


def gather_rows(rows: list[Row]) -> list[Row]:
    """The rows of all processes, in order of their ranks."""
    return list(gather_object(rows))

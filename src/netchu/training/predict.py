"""Reading with a trained model: `predict` computes log-probabilities, `evaluate` scores held-out lines."""

import csv
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import nn

from netchu.atomic import atomic_path
from netchu.charset import Charset
from netchu.decoding.decoders import LogProbs, greedy
from netchu.metrics import Scores, score, score_by_source
from netchu.precision import autocast, choose_precision
from netchu.preprocess import Input
from netchu.training.dataset import LineDataset

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


def share(rows: list[Row]) -> list[Row]:
    """The rows of all processes, in order of their ranks."""
    return list(gather_object(rows))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores over all held-out lines and by source, with the answers behind them."""

    scores: Scores
    by_source: dict[str, Scores]
    rows: list[tuple[str, str, str, str, float]]  # (path, source, label, answer, confidence)

    def __str__(self) -> str:
        parts = [f"{name}: {scores}" for name, scores in self.by_source.items()] if len(self.by_source) > 1 else []
        return "\n    ".join([str(self.scores), *parts])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures."""
        return {**self.scores.to_dict(), "by_source": {name: s.to_dict() for name, s in self.by_source.items()}}


def evaluate(
    model: nn.Module, dataset: LineDataset, charset: Charset, *, precision: str, rank: int = 0, ranks: int = 1
) -> Evaluation:
    """Read every line greedily and score it; each of `ranks` processes reads every ranks-th line, then all share."""
    was_training = model.training
    model.eval()
    order = sorted(range(len(dataset)), key=lambda i: dataset.widths[i])[rank::ranks]
    rows = []
    for start in range(0, len(order), 512):
        chosen = order[start : start + 512]
        items = [dataset[(0, i)] for i in chosen]
        for i, (_, line), prediction in zip(
            chosen, items, predict(model, [x for x, _ in items], precision=precision), strict=True
        ):
            reading = greedy(prediction.log_probs, charset)
            rows.append((i, (str(line.path), line.source, line.text, reading.text, reading.confidence)))
    model.train(was_training)
    if ranks > 1:
        rows = gather_object(rows)
    ordered = [row for _, row in sorted(rows)]
    sources, labels, answers = ([row[1] for row in ordered], [row[2] for row in ordered], [row[3] for row in ordered])
    return Evaluation(score(answers, labels), score_by_source(answers, labels, sources), ordered)


def write_answers(path: Path, evaluation: Evaluation) -> None:
    """Held-out answers as CSV: img_path, source, text, answer, confidence."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["img_path", "source", "text", "answer", "confidence"])
        writer.writerows((*row[:4], f"{row[4]:.4f}") for row in evaluation.rows)

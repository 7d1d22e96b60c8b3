"""Held-out lines read greedily and scored: `evaluate`, and the answers as a table."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from netchu.core.charset import Charset
from netchu.core.files import atomic_path
from netchu.core.metrics import Scores, score, score_by_source
from netchu.ctc.decoders import greedy
from netchu.reading.predict import gather_rows, predict
from netchu.training.dataset import LineDataset


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
        rows = gather_rows(rows)
    ordered = [row for _, row in sorted(rows)]
    sources, labels, answers = ([row[1] for row in ordered], [row[2] for row in ordered], [row[3] for row in ordered])
    return Evaluation(score(answers, labels), score_by_source(answers, labels, sources), ordered)


def write_answers(path: Path, evaluation: Evaluation) -> None:
    """Held-out answers as CSV: img_path, source, text, answer, confidence."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["img_path", "source", "text", "answer", "confidence"])
        writer.writerows((*row[:4], f"{row[4]:.4f}") for row in evaluation.rows)

"""Judging a run while it trains: held-out scores, which weights are the best so far, and when to give up.

`best.safetensors` is what scored the highest kalapa_score, `last.safetensors` what was judged last.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast
from torch import nn
from tqdm import tqdm

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.metrics import Scores, score, score_by_source
from netchu.ctc.decoders import greedy
from netchu.data.frames import ANSWERS, write_frame
from netchu.model.bundle import save_bundle
from netchu.model.predict import gather_rows, predict
from netchu.training.dataset import LineDataset

if TYPE_CHECKING:
    import pandas as pd

LINES_A_BATCH = 128  # between two looks at a stop; within it, lines of one width share batches


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores over all held-out lines and by source, with the answers behind them."""

    scores: Scores
    by_source: dict[str, Scores]
    answers: "pd.DataFrame"  # columns as in ANSWERS, a held-out line a row

    def __str__(self) -> str:
        parts = [f"{name}: {scores}" for name, scores in self.by_source.items()] if len(self.by_source) > 1 else []
        return "\n    ".join([str(self.scores), *parts])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready figures."""
        return {**self.scores.to_dict(), "by_source": {name: s.to_dict() for name, s in self.by_source.items()}}


class ValidationLeftError(Exception):
    """A validation was left between two batches because the run was asked to stop."""


def evaluate(
    model: nn.Module, dataset: LineDataset, charset: Charset, *, precision: str, stop: Callable[[], bool]
) -> Evaluation:
    """Read every line by best path and score it; each of n processes reads every n-th line, then all share.

    Raises ValidationLeftError once `stop` answers yes on any process; it is asked between batches.
    """
    rank, ranks = PartialState().process_index, PartialState().num_processes
    was_training = model.training
    model.eval()
    order = sorted(range(len(dataset)), key=lambda i: dataset.widths[i])[rank::ranks]
    rows, left = [], False
    with tqdm(
        total=len(order), desc="validation", unit="line", leave=False, delay=5, disable=rank > 0,
        mininterval=1.0 if sys.stderr.isatty() else 60.0,
    ) as bar:  # fmt: skip
        for start in range(0, len(order), LINES_A_BATCH):
            left = stop()
            if left:
                break
            chosen = order[start : start + LINES_A_BATCH]
            items = [dataset[(0, i)] for i in chosen]
            predictions = predict(model, [x for x, _ in items], precision=precision)
            for i, (_, line), prediction in zip(chosen, items, predictions, strict=True):
                reading = greedy(prediction.log_probs, charset)
                rows.append((i, (str(line.path), line.source, line.text, reading.text, reading.confidence)))
            bar.update(len(chosen))
    model.train(was_training)
    if ranks > 1:
        rows, left = gather_rows(rows), any(gather_rows([left]))
    if left:
        raise ValidationLeftError
    import pandas as pd

    table = pd.DataFrame([row for _, row in sorted(rows)], columns=list(ANSWERS))
    answers, labels = table.answer.tolist(), table.text.tolist()
    return Evaluation(score(answers, labels), score_by_source(answers, labels, table.source.tolist()), table)


@dataclass
class Validator:
    """Keeps the best figures of one run and writes its bundles. Without held-out lines the newest count as best."""

    cfg: Config
    charset: Charset
    held_out: LineDataset | None
    precision: str
    hashes: dict[str, str]
    best: float = -1.0
    best_metrics: dict[str, Any] = field(default_factory=dict)
    stale: int = 0  # validations since the best one

    @property
    def patience_is_over(self) -> bool:
        """Whether as many validations as the config allows have brought nothing better."""
        return 0 < self.cfg.patience <= self.stale

    def judge(
        self, model: nn.Module, figures: dict[str, Any], say: Callable[[str], None], stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """Score a model on the held-out lines and write its bundles; returns the figures, None without such lines.

        figures: step, epoch and seconds of the moment. All processes call this; the first one writes. Raises
        ValidationLeftError, with nothing written, once `stop` answers yes.
        """
        metrics = {name: value for name, value in figures.items() if name != "seconds"}
        is_best, processes = True, PartialState()
        if self.held_out is not None:
            if processes.num_processes > 1:  # batch statistics differ a little between processes
                with torch.no_grad():
                    for tensor in model.buffers():
                        tensor.copy_(broadcast(tensor))
            result = evaluate(model, self.held_out, self.charset, precision=self.precision, stop=stop)
            metrics |= result.to_dict()
            is_best = result.scores.kalapa_score > self.best
            self.stale = 0 if is_best else self.stale + 1
            if is_best:
                self.best, self.best_metrics = result.scores.kalapa_score, metrics
            say(f"epoch {figures['epoch']}: {result}")
            if is_best and processes.is_main_process:
                write_frame(self.cfg.run_dir / "valid.csv", result.answers, float_format="%.4f")
        if processes.is_main_process:
            for name in ("last", "best")[: 1 + is_best]:
                path = self.cfg.run_dir / f"{name}.safetensors"
                save_bundle(path, model, self.cfg, self.charset, metrics=metrics, hashes=self.hashes)
        return {**metrics, "seconds": figures["seconds"]} if self.held_out is not None else None

    def verdict(self, *, at_end: bool) -> dict[str, Any]:
        """The best held-out figures for a report, or why there are none; `at_end`: whether every epoch was made."""
        note, ended_early = None, self.patience_is_over and not at_end
        if self.held_out is None:
            note = "trained on every line: there is no held-out figure"
        elif ended_early:
            note = f"ended early: {self.stale} validations without a better kalapa_score"
        return {"held_out": self.best_metrics or None, "ended_early": ended_early, "note": note}

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"best": self.best, "best_metrics": self.best_metrics, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.best, self.best_metrics, self.stale = state["best"], state["best_metrics"], state["stale"]

"""Judging a run while it trains: held-out scores, which weights are the best so far, and when to give up.

`best.safetensors` is what scored the highest kalapa_score, `last.safetensors` what was judged last.
"""

from collections.abc import Callable
from typing import Any

import torch
from accelerate.utils import broadcast
from torch import nn

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.model.bundle import save_bundle
from netchu.training.dataset import LineDataset
from netchu.training.evaluation import evaluate, write_answers


class Validator:
    """Keeps the best figures of one run and writes its bundles. Without held-out lines the newest count as best."""

    def __init__(
        self,
        cfg: Config,
        charset: Charset,
        held_out: LineDataset | None,
        precision: str,
        hashes: dict[str, str],
        rank: int,
        ranks: int,
    ) -> None:
        self.cfg, self.charset, self.held_out = cfg, charset, held_out
        self.precision, self.hashes = precision, hashes
        self.rank, self.ranks = rank, ranks
        self.best = -1.0
        self.best_metrics: dict[str, Any] = {}
        self.stale = 0  # validations since the best one

    @property
    def patience_is_over(self) -> bool:
        """Whether as many validations as the config allows have brought nothing better."""
        return 0 < self.cfg.patience <= self.stale

    def judge(self, model: nn.Module, figures: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any] | None:
        """Score a model on the held-out lines and write its bundles; returns the figures, None without such lines.

        figures: step, epoch and seconds of the moment. All processes call this; the first one writes.
        """
        metrics = {name: value for name, value in figures.items() if name != "seconds"}
        is_best = True
        if self.held_out is not None:
            if self.ranks > 1:  # batch statistics differ a little between processes
                with torch.no_grad():
                    for tensor in model.buffers():
                        tensor.copy_(broadcast(tensor))
            result = evaluate(
                model, self.held_out, self.charset, precision=self.precision, rank=self.rank, ranks=self.ranks
            )
            metrics |= result.to_dict()
            is_best = result.scores.kalapa_score > self.best
            self.stale = 0 if is_best else self.stale + 1
            if is_best:
                self.best, self.best_metrics = result.scores.kalapa_score, metrics
            say(f"epoch {figures['epoch']}: {result}")
            if is_best and self.rank == 0:
                write_answers(self.cfg.run_dir / "valid.csv", result)
        if self.rank == 0:
            for name in ("last", "best")[: 1 + is_best]:
                path = self.cfg.run_dir / f"{name}.safetensors"
                save_bundle(path, model, self.cfg, self.charset, metrics=metrics, hashes=self.hashes)
        return {**metrics, "seconds": figures["seconds"]} if self.held_out is not None else None

    def verdict(self) -> dict[str, Any]:
        """The best held-out figures for a report, or why there are none."""
        note = None
        if self.held_out is None:
            note = "trained on every line: there is no held-out figure"
        elif self.patience_is_over:
            note = f"ended early: {self.stale} validations without a better kalapa_score"
        return {"held_out": self.best_metrics or None, "note": note}

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"best": self.best, "best_metrics": self.best_metrics, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.best, self.best_metrics, self.stale = state["best"], state["best_metrics"], state["stale"]

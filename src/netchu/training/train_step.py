"""One batch at a time: forward, backward, clipping, optimiser, moving average; the same on one process or many."""

import math
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.losses import CtcObjective
from netchu.training.dataset import Batch
from netchu.training.optimizer import build_ema, build_optimizer, learning_rate
from netchu.training.resume import Stateful

NoteBad = Callable[[float, float, Batch], None]  # gets loss, gradient norm, batch

MAX_BAD_STEPS = 10  # batches in a row without a finite loss
MAX_LOST_STEPS = 24  # steps in a row without a finite gradient, while fp16's scale falls from 2^16 to 2^-8


class TrainStep:
    """Owns what changes with every batch: objective, optimiser and moving average."""

    def __init__(self, cfg: Config, objective: CtcObjective, accelerator: Accelerator, note_bad: NoteBad) -> None:
        self.cfg, self.accelerator, self.note_bad = cfg, accelerator, note_bad
        self.memory_format = torch.channels_last if cfg.channels_last else torch.contiguous_format
        self.objective = objective.to(memory_format=self.memory_format)
        rates = {"lr": cfg.lr, "weight_decay": cfg.weight_decay, "layer_decay": cfg.layer_decay}
        optimizer = build_optimizer(objective, objective.model.backbone, **rates)
        self._run, self.optimizer = accelerator.prepare(objective, optimizer)
        if cfg.compile:
            _refuse_without_compiler(accelerator.device)
            self._run = torch.compile(self._run, dynamic=True)
        self.ema = build_ema(objective.model, cfg.ema_decay)
        self.factor = learning_rate(cfg.warmup)
        self._may_overflow = accelerator.mixed_precision == "fp16"  # its scaler skips such steps and lowers the scale
        self._norm: Tensor | float = 0.0
        self._bad_steps = self._lost_steps = 0
        self._counted = 0  # batches whose gradients wait for a step

    @property
    def lr(self) -> float:
        """Learning rate of the head."""
        return float(self.optimizer.param_groups[-1]["lr"])

    @property
    def norm(self) -> float:
        """Norm of the last gradient, before clipping."""
        return float(self._norm)

    def parts(self) -> dict[str, Stateful]:
        """Everything with a memory of its own, for the resume state."""
        parts: dict[str, Stateful] = {"objective": self.objective, "ema": self.ema, "optimizer": self.optimizer}
        if self.accelerator.scaler is not None:
            parts["scaler"] = self.accelerator.scaler
        return parts

    def step(self, batch: Batch, *, progress: float, closes: bool, stop: bool) -> tuple[float, bool]:
        """Gradients of one batch, and with `closes` a step of the optimiser.

        progress: share of the training that is done after this batch. Returns (loss, whether any process was asked to
        stop). A batch without a finite loss changes nothing, on all processes, and those that are accumulated with it
        count; without a finite gradient none of them does. After MAX_BAD_STEPS batches or MAX_LOST_STEPS steps in a row
        NetchuError is raised.
        """
        device = self.accelerator.device
        images = batch.images.to(device, memory_format=self.memory_format, non_blocking=True)
        with nullcontext() if closes else self.accelerator.no_sync(self._run):
            with self.accelerator.autocast():
                loss = self._run(images, batch.targets.to(device, non_blocking=True), batch.target_lengths)
            value = float(loss.detach())
            bad, stop = self._agree(not math.isfinite(value), stop)
            if not bad:
                self.accelerator.backward(loss / self.cfg.accumulate)
                self._counted += 1
        if closes and bad and self.accelerator.num_processes > 1:
            self._counted = 0  # only a closing backward pass shares the processes' gradients
        if closes and self._counted:
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak_lr"] * self.factor(progress)
            self._norm = self.accelerator.clip_grad_norm_(self._run.parameters(), self.cfg.clip_norm)
            finite = math.isfinite(self.norm)
            self._lost_steps = 0 if finite else self._lost_steps + 1
            if finite or self._may_overflow:  # the scaler skips it by itself
                self.optimizer.step()
                self.ema.update_parameters(self.objective.model)
            else:
                bad = True
        if closes:
            self.optimizer.zero_grad(set_to_none=True)
            self._counted = 0
        if bad:
            self._bad_steps += 1
            self._heal_statistics()
            self.note_bad(value, self.norm, batch)
            if self._bad_steps >= MAX_BAD_STEPS:
                raise NetchuError(
                    f"loss or gradient was not finite for {MAX_BAD_STEPS} batches in a row; lower lr or check the "
                    f"lines in {self.cfg.run_dir / 'bad_batches.jsonl'}"
                )
        else:
            self._bad_steps = 0
        if self._lost_steps >= MAX_LOST_STEPS:
            raise NetchuError(
                f"gradient was not finite for {MAX_LOST_STEPS} steps in a row; lower lr, or --set precision=fp32"
            )
        return value, stop

    def _heal_statistics(self) -> None:
        """A forward pass over a bad batch may have spoilt batch statistics; the moving average still has good ones."""
        for own, mean in zip(self.objective.model.buffers(), self.ema.module.buffers(), strict=True):
            if own.is_floating_point() and not bool(own.isfinite().all()):
                own.copy_(mean)

    def _agree(self, bad: bool, stop: bool) -> tuple[bool, bool]:
        """Whether the batch is bad, or a stop was asked for, on any process."""
        if self.accelerator.num_processes == 1:
            return bad, stop
        flags = torch.tensor([float(bad), float(stop)], device=self.accelerator.device)
        bad_sum, stop_sum = self.accelerator.reduce(flags, reduction="sum").tolist()
        return bad_sum > 0, stop_sum > 0


def _refuse_without_compiler(device: torch.device) -> None:
    """Raise NetchuError where the compiler that torch.compile calls is missing; it fails late and over many lines."""
    cpp = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    names = [cpp] if device.type == "cpu" else [os.environ.get("CC", "gcc"), "clang", cpp]
    if sys.platform != "win32" and not any(map(shutil.which, names)):
        raise NetchuError(
            f"compile=true wants a compiler, and there is no {names[0]}: apt-get install g++, name one in the "
            "environment variable CXX, or --set compile=false"
        )

"""Training: `fit` builds a run from its config, loops over batches, validates, saves, and resumes exactly.

What a batch is, what is minimised and what is written live in the modules below this one.
"""

import math
import random
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from tqdm import tqdm

from netchu.charset import Charset
from netchu.checkpoint import hash_file, load_state, save_bundle, save_state, warm_start
from netchu.config import Config
from netchu.dataset import Batch, BucketSampler, Collate, LineDataset
from netchu.errors import NetchuError
from netchu.interruption import Interruption, StoppedError, outlive_signals
from netchu.losses import CtcObjective
from netchu.manifest import read_manifest, refuse_leaks, split
from netchu.model import build_model
from netchu.precision import choose_precision
from netchu.predict import evaluate, write_answers
from netchu.schedule import build_ema, learning_rate
from netchu.tracking import Run

LOG_EVERY = 20  # steps
MAX_BAD_STEPS = 10  # steps in a row without a finite loss


class Trainer:
    """One run: builds its parts from a config, trains, validates, saves. Use `fit`."""

    def __init__(self, cfg: Config, *, resume: bool) -> None:
        self.cfg = cfg
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        probe = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = choose_precision(cfg.precision, probe)
        self.accelerator = Accelerator(
            mixed_precision={"fp32": "no"}.get(self.precision, self.precision), cpu=probe.type == "cpu"
        )
        self.rank, self.ranks = self.accelerator.process_index, self.accelerator.num_processes
        self.manifest = Path(cfg.manifest)
        self._read_data()
        random.seed(cfg.seed)
        torch.manual_seed(cfg.seed)
        model = build_model(cfg, len(self.charset))
        if cfg.load_weight and not resume:
            self.say(warm_start(model, cfg, self.charset, (line.text for line in self.train_set.lines)))
        objective = CtcObjective(model, cfg.shortcut_weight).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(objective.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay, fused=True)
        self.sampler = BucketSampler(self.train_set, cfg, self.rank, self.ranks)
        self.total_steps = cfg.epochs * len(self.sampler)
        factor = learning_rate(cfg.schedule, self.total_steps, cfg.warmup)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.plain: CtcObjective = self.accelerator.unwrap_model(self.objective)
        self.ema = build_ema(self.plain.model, cfg.ema_decay)
        self.step, self.best, self.seconds, self.bad_steps = 0, -1.0, 0.0, 0
        self.best_metrics: dict[str, Any] = {}
        self.losses: list[float] = []  # since the last record of the log
        self.hashes = {"manifest": hash_file(self.manifest)}
        if resume:
            self._restore()
        if self.accelerator.is_main_process:
            self.run = Run(cfg.run_dir, resume_step=self.step if resume else None, cfg=cfg)

    def say(self, text: str) -> None:
        """Print on the main process, past the progress bar."""
        if text and self.accelerator.is_main_process:
            tqdm.write(text)

    def _read_data(self) -> None:
        """Manifest -> charset, training set, held-out set."""
        cfg = self.cfg
        lines = read_manifest(self.manifest)
        leaks = refuse_leaks(lines, self.manifest)
        train, held_out = split(lines, cfg.fold)
        if not train:
            raise NetchuError(
                f"{self.manifest}: no line to train on with fold {cfg.fold} held out; choose another --fold"
            )
        self.charset = Charset.from_texts(line.text for line in lines)
        self.train_set = LineDataset(train, cfg, self.charset, train=True)
        self.valid_set = LineDataset(held_out, cfg, self.charset, train=False) if held_out else None
        self.say(
            f"{cfg.name}: {len(self.train_set)} lines to train on, {len(held_out) or 'none'} held out, "
            f"{len(self.charset) - 1} characters, {self.train_set.cached_bytes / 1e6:.0f} MB of lines in memory\n"
            f"{leaks.shared_texts} texts in several folds, {leaks.unknown_writers} lines of unknown writers\n"
            f"{self.precision} on {self.accelerator.device}, {self.ranks} process(es)"
        )
        for dataset in (self.train_set, self.valid_set):
            self.say(dataset.exclusion_report() if dataset else "")

    def train(self) -> dict[str, Any]:
        """Run all remaining epochs; returns the report that is also written to `report.json`."""
        per_epoch = len(self.sampler)
        loader = DataLoader(
            self.train_set,
            batch_sampler=self.sampler,
            collate_fn=Collate(self.charset),
            num_workers=self.cfg.workers,
            persistent_workers=self.cfg.workers > 0,
            pin_memory=self.accelerator.device.type == "cuda",
            worker_init_fn=outlive_signals,
            generator=torch.Generator(),
            prefetch_factor=8 if self.cfg.workers else None,
        )
        interruption = Interruption()
        bar = tqdm(
            total=self.total_steps * self.cfg.batch_size * self.ranks,
            initial=self.step * self.cfg.batch_size * self.ranks,
            unit="line",
            desc=self.cfg.name,
            smoothing=0.05,
            disable=not self.accelerator.is_main_process,
            mininterval=1.0 if sys.stderr.isatty() else 60.0,
        )
        try:
            with interruption.watch(), bar:
                while self.step < self.total_steps:
                    self.sampler.epoch, self.sampler.start = divmod(self.step, per_epoch)
                    self._epoch(loader, bar, interruption)
                    epoch = self.step // per_epoch
                    if epoch % self.cfg.validate_every == 0 or self.step == self.total_steps:
                        self._validate(epoch)
                    self._save()
                    if interruption.requested and self.step < self.total_steps:
                        self._stop()
        except NetchuError as error:  # one raised by a data worker arrives with that worker's traceback in its text
            raise type(error)(str(error).rpartition("NetchuError: ")[2].strip()) from error
        finally:
            if self.accelerator.is_main_process:
                self.run.close()
            loader._iterator = None  # ends the workers in order, also when an error keeps the loader alive
        return self._report()

    def _epoch(self, loader: DataLoader[Any], bar: Any, interruption: Interruption) -> None:
        """Steps of one epoch (the rest of it after a resume)."""
        self.objective.train()
        waited, window, steps = 0.0, time.perf_counter(), 0
        asked = time.perf_counter()
        for batch in loader:
            waited += time.perf_counter() - asked
            began = time.perf_counter()
            loss, norm = self._step(batch)
            self.seconds += time.perf_counter() - began
            self.losses.append(loss)
            steps += 1
            bar.update(len(batch.texts) * self.ranks)
            if self.step % LOG_EVERY == 0 and self.accelerator.is_main_process:
                elapsed = time.perf_counter() - window
                bar.set_postfix(loss=f"{np.mean(self.losses):.3f}", best=f"{max(self.best, 0):.4f}", refresh=False)
                self.run.log(
                    {
                        "step": self.step,
                        "epoch": self.sampler.epoch,
                        "loss": float(np.mean(self.losses)),
                        "norm": norm,
                        "lr": self.scheduler.get_last_lr()[0],
                        "lines_per_s": steps * self.cfg.batch_size * self.ranks / elapsed,
                        "data_wait": waited / elapsed,
                    }
                )
                waited, window, steps = 0.0, time.perf_counter(), 0
                self.losses.clear()
            if interruption.requested and self.step % len(self.sampler):  # at an epoch's end, validation comes first
                self._save()
                self._stop()
            asked = time.perf_counter()

    def _stop(self) -> NoReturn:
        """End the run after a signal; its state is saved."""
        raise StoppedError(
            f"stopped at step {self.step} of {self.total_steps}, all saved; go on with the same command and --resume"
        )

    def _step(self, batch: Batch) -> tuple[float, float]:
        """One optimiser step; returns (loss, gradient norm). A step without a finite loss changes nothing."""
        device = self.accelerator.device
        images = batch.images.to(device, memory_format=torch.channels_last, non_blocking=True)
        with self.accelerator.autocast():
            loss = self.objective(images, batch.targets.to(device), batch.target_lengths.to(device))
        value, norm = float(loss.detach()), 0.0
        finite = math.isfinite(value)
        if finite:
            self.accelerator.backward(loss)
            norm = float(self.accelerator.clip_grad_norm_(self.objective.parameters(), self.cfg.clip_norm))
            finite = math.isfinite(norm) or self.precision == "fp16"  # fp16: the scaler skips and lowers its scale
        if finite:
            self.optimizer.step()
            self.ema.update_parameters(self.plain.model)
            self.bad_steps = 0
        else:
            self.bad_steps += 1
            self.say(f"step {self.step}: loss {value}, gradient {norm}; skipped; lines {', '.join(batch.names)}")
            if self.bad_steps >= MAX_BAD_STEPS:
                raise NetchuError(
                    f"loss or gradient was not finite for {MAX_BAD_STEPS} steps in a row; "
                    "lower lr or check the lines named above"
                )
        self.optimizer.zero_grad(set_to_none=True)
        self.scheduler.step()
        self.step += 1
        return value, norm

    def _validate(self, epoch: int) -> None:
        """Score the averaged weights on the held-out lines; write `last`, and `best` when kalapa_score has grown."""
        metrics: dict[str, Any] = {"step": self.step, "epoch": epoch}
        model, best = self.ema.module, True
        if self.valid_set is not None:
            result = evaluate(
                model, self.valid_set, self.charset, precision=self.precision, rank=self.rank, ranks=self.ranks
            )
            metrics |= result.to_dict()
            best = result.scores.kalapa_score > self.best
            if best:
                self.best, self.best_metrics = result.scores.kalapa_score, metrics
            if self.accelerator.is_main_process:
                self.run.log({**metrics, "seconds": round(self.seconds, 1)})
                self.say(f"epoch {epoch}: {result}")
                if best:
                    write_answers(self.cfg.run_dir / "valid.csv", result)
        if self.accelerator.is_main_process:
            for name in ("last", "best")[: 1 + best]:
                path = self.cfg.run_dir / f"{name}.safetensors"
                save_bundle(path, model, self.cfg, self.charset, metrics=metrics, hashes=self.hashes)
            self.run.draw_pictures()
            self._report()

    def _report(self) -> dict[str, Any]:
        """Write and return `report.json`."""
        report = {
            "name": self.cfg.name,
            "fold": self.cfg.fold,
            "step": self.step,
            "steps": self.total_steps,
            "training_seconds": round(self.seconds, 1),
            "held_out": self.best_metrics or None,
            "note": None if self.valid_set else "trained on every line: there is no held-out figure",
            "lines": {
                "train": len(self.train_set),
                "held_out": len(self.valid_set) if self.valid_set else 0,
                "excluded": [str(line.path) for line in self.train_set.excluded],
            },
            "precision": self.precision,
            "torch": torch.__version__,
            "hashes": self.hashes,
            "config": self.cfg.to_dict(),
        }
        if self.accelerator.is_main_process:
            self.run.write_report(report)
        return report

    def _save(self) -> None:
        """Write the resume state: everything that the next step depends on."""
        scaler = self.accelerator.scaler
        state = {
            "config": self.cfg.to_dict(),
            "hashes": self.hashes,
            "step": self.step,
            "losses": self.losses,
            "best": self.best,
            "best_metrics": self.best_metrics,
            "seconds": self.seconds,
            "objective": self.plain.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.accelerator.device.type == "cuda" else torch.empty(0),
        }
        if self.accelerator.is_main_process:
            save_state(self.cfg.run_dir / "state.pt", state)

    def _restore(self) -> None:
        """Load the resume state; raises NetchuError when config or data are not those it was made with."""
        path = self.cfg.run_dir / "state.pt"
        state = load_state(path)
        free = ("workers", "threads", "output_dir", "cache_mb", "trackers")
        then, now = state["config"], self.cfg.to_dict()
        changed = [
            f"{key}={then.get(key)!r}, now {now[key]!r}" for key in now if key not in free and then.get(key) != now[key]
        ]
        if changed:
            raise NetchuError(
                f"{path}: was made with {changed[0]}; resume with the same config or start without --resume"
            )
        if state["hashes"] != self.hashes:
            raise NetchuError(f"{self.manifest}: has changed since {path} was made; start without --resume")
        self.plain.load_state_dict(state["objective"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])
        if self.accelerator.device.type == "cuda" and state["cuda_rng"].numel():
            torch.cuda.set_rng_state(state["cuda_rng"])
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
        self.best_metrics, self.losses = state["best_metrics"], state["losses"]
        self.say(f"resumed at step {self.step} of {self.total_steps}")


def fit(cfg: Config, *, resume: bool = False) -> dict[str, Any]:
    """Train the run that `cfg` describes, into `cfg.run_dir`; `resume` goes on from its last saved step exactly."""
    return Trainer(cfg, resume=resume).train()

"""Training: `fit` builds a run from its config, loops over batches, validates, saves, and resumes exactly.

What a batch is, what is minimised and what is written live in the modules below this one. Where a run stands is
(epoch, batches done in it), so that epochs may have different numbers of batches.
"""

import random
import sys
import time
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from tqdm import tqdm

from netchu.core.config import Config
from netchu.core.errors import NetchuError, StoppedError
from netchu.core.files import write_json
from netchu.core.interruption import Interruption, outlive_signals
from netchu.model.bundle import load_teacher, warm_start
from netchu.model.losses import CtcObjective
from netchu.model.precision import choose_precision
from netchu.model.recogniser import build_model
from netchu.training.dataset import Batch, BucketSampler, collate_or_error
from netchu.training.optimizer import EpochAverage
from netchu.training.rendering import LineSource, OpenSource, RenderAhead
from netchu.training.resume import (
    Stateful,
    forget_run,
    has_state,
    load_state,
    refuse_other_run,
    refuse_own_start,
    run_hashes,
    save_state,
)
from netchu.training.run_data import load_run_data
from netchu.training.run_folder import Run
from netchu.training.train_step import TrainStep
from netchu.training.validation import ValidationLeftError, Validator

LOG_EVERY = 20  # batches
SAVE_EVERY = 600  # seconds between two resume states inside a long epoch


class Trainer:
    """One run: builds its parts from a config, trains, validates, saves. Use `fit`."""

    def __init__(self, cfg: Config, *, resume: bool | None = None, open_source: OpenSource | None = None) -> None:
        self.cfg = cfg
        self.resumed = has_state(cfg.run_dir) if resume is None else resume
        if not self.resumed:
            refuse_own_start(cfg)
        self.source = _open_source(cfg, open_source)
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        probe = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = choose_precision(cfg.precision, probe)
        self.accelerator = Accelerator(
            mixed_precision={"fp32": "no"}.get(self.precision, self.precision), cpu=probe.type == "cpu"
        )
        self.rank, self.ranks = self.accelerator.process_index, self.accelerator.num_processes
        self.data = load_run_data(cfg, self.source)
        self.say(f"{self.data}\n{self.precision} on {self.accelerator.device}, {self.ranks} process(es)")
        self.charset, self.train_set = self.data.charset, self.data.train_set
        self.hashes = run_hashes(cfg)
        random.seed(cfg.seed)
        torch.manual_seed(cfg.seed)
        model = build_model(cfg, len(self.charset))
        if cfg.load_weight and not self.resumed:
            self.say(warm_start(model, cfg, self.charset, (line.text for line in self.train_set.lines)))
        self.sampler = BucketSampler(self.train_set, cfg, self.rank, self.ranks)
        teacher = load_teacher(cfg, self.charset).to(self.accelerator.device) if cfg.teacher else None
        objective = CtcObjective(model, cfg.shortcut_weight, teacher, cfg.teacher_weight)
        self.train_step = TrainStep(cfg, objective, self.accelerator, self._note_bad)
        self.average = EpochAverage()
        self.epoch, self.done, self.step = 0, 0, 0  # done: batches of this epoch; step: batches of all
        self.seconds, self.saved = 0.0, time.perf_counter()
        self.losses: list[float] = []  # since the last record of the log
        self.validator = Validator(cfg, self.charset, self.data.valid_set, self.precision, self.hashes)
        self.unscored = False  # a validation was left before its end: it comes first when the run goes on
        self.interruption = Interruption()
        self.run: Run | None = None  # of the main process, from the start of `train` on
        if self.resumed:
            self._restore()

    def say(self, text: str) -> None:
        """Print on the main process, past the progress bar."""
        if text and self.accelerator.is_main_process:
            tqdm.write(text)

    def train(self) -> dict[str, Any]:
        """Run all remaining epochs; returns the report that is also written to `report.json`."""
        if self.accelerator.is_main_process:
            if not self.resumed:
                forget_run(self.cfg.run_dir)
            self.run = Run(self.cfg, resume_step=self.step if self.resumed else None)
        ahead = None
        if self.source:
            ahead = RenderAhead(self.source, self.sampler.synthetic_count, self.cfg.epochs, max(1, self.cfg.workers))
        loader = DataLoader(
            self.train_set,
            batch_sampler=self.sampler,
            collate_fn=partial(collate_or_error, self.charset),
            num_workers=self.cfg.workers,
            persistent_workers=self.cfg.workers > 0 and not ahead,  # synthetic lines reach workers when they start
            pin_memory=self.accelerator.device.type == "cuda",
            worker_init_fn=outlive_signals,
            generator=torch.Generator(),
            prefetch_factor=8 if self.cfg.workers else None,
        )
        bar = tqdm(
            total=self.cfg.epochs * self.sampler.epoch_lines,
            unit="line",
            desc=self.cfg.name,
            smoothing=0.05,
            disable=not self.accelerator.is_main_process,
            mininterval=1.0 if sys.stderr.isatty() else 60.0,
        )
        try:
            with self.interruption.watch(), bar:
                if self.unscored:
                    self._validate()
                while self.epoch < self.cfg.epochs and not self.validator.patience_is_over and not self.unscored:
                    self.sampler.epoch, self.sampler.start = self.epoch, self.done
                    if ahead:
                        self.train_set.replace_synthetic(ahead.take(self.epoch))
                    stop = self._epoch(loader, bar)
                    self._save()
                    if stop and self.epoch < self.cfg.epochs:
                        self._stop()
                if not self.unscored:
                    self._try_average()
                if self.unscored:
                    self._stop()
        finally:
            if ahead:
                ahead.close()
            if self.run is not None:
                self.run.close()
            loader._iterator = None  # ends the workers in order, also when an error keeps the loader alive
        return self._report()

    def _epoch(self, loader: DataLoader[Any], bar: Any) -> bool:
        """Batches of one epoch (the rest of it after a resume), and the validation at its end.

        Returns whether the run was asked to stop; when that happens before the epoch's end, it stops right here.
        """
        self.train_step.objective.train()
        batches = len(self.sampler.plan())
        stop, waited, window, lines = False, 0.0, time.perf_counter(), 0
        asked = time.perf_counter()
        for batch in loader:
            if isinstance(batch, NetchuError):
                raise batch
            waited += time.perf_counter() - asked
            began = time.perf_counter()
            last = self.done + 1 == batches
            closes = last or (self.done + 1) % self.cfg.accumulate == 0
            progress = (self.epoch + (self.done + 1) / batches) / self.cfg.epochs
            torch.manual_seed((self.cfg.seed << 32) + self.step * self.ranks + self.rank)  # dropout, also when resumed
            loss, stop = self.train_step.step(batch, progress=progress, closes=closes, stop=self.interruption.requested)
            self.losses.append(loss)
            self.step, self.done = self.step + 1, self.done + 1
            self.seconds += time.perf_counter() - began
            lines += len(batch.texts)
            bar.update(round(progress * bar.total) - bar.n)
            if self.step % LOG_EVERY == 0:
                elapsed = time.perf_counter() - window
                self._log(bar, lines * self.ranks / elapsed, waited / elapsed)
                waited, window, lines = 0.0, time.perf_counter(), 0
            if not last:
                if self.cfg.validate_steps and self.step % self.cfg.validate_steps == 0:
                    stop = self._validate(may_leave=closes) or stop
                    if self.validator.patience_is_over:
                        return stop
                if closes and (stop or time.perf_counter() - self.saved > SAVE_EVERY):
                    self._save()
                if closes and stop:
                    self._stop()
            asked = time.perf_counter()
        self.epoch, self.done = self.epoch + 1, 0
        if self.epoch > self.cfg.epochs - self.cfg.average_epochs:
            self.average.add(self.train_step.ema.module)
        every = self.step % self.cfg.validate_steps if self.cfg.validate_steps else self.epoch % self.cfg.validate_every
        if every == 0 or self.epoch == self.cfg.epochs:
            stop = self._validate() or stop
        return stop

    def _log(self, bar: Any, rate: float, data_wait: float) -> None:
        """Record the batches since the last record: mean loss, lines a second, share of time waiting for data."""
        if self.run is not None:
            loss = float(np.mean(self.losses))
            bar.set_postfix(loss=f"{loss:.3f}", best=f"{max(self.validator.best, 0):.4f}", refresh=False)
            place = {"step": self.step, "epoch": self.epoch}
            learnt = {"loss": loss, "norm": self.train_step.norm, "lr": self.train_step.lr}
            self.run.log({**place, **learnt, "lines_per_s": rate, "data_wait": data_wait})
        self.losses.clear()

    def _stop(self) -> NoReturn:
        """End the run after a signal; its state is saved."""
        raise StoppedError(
            f"stopped after {self.step} batches, in epoch {self.epoch + 1} of {self.cfg.epochs}, all saved; "
            "go on with the same command",
            self.interruption.number,
        )

    def _note_bad(self, loss: float, norm: float, batch: Batch) -> None:
        """Record a batch that could not be learnt from."""
        self.say(f"batch {self.step}: loss {loss}, gradient {norm}; skipped; lines {', '.join(batch.names)}")
        if self.run is not None:
            self.run.note_bad_batch({"step": self.step, "loss": str(loss), "lines": batch.names})

    def _validate(self, *, may_leave: bool = True) -> bool:
        """Score the averaged weights; write `last`, and `best` when kalapa_score has grown.

        Returns whether the run was asked to stop meanwhile and it was left: its scores come when the run goes on.
        """
        figures = {"step": self.step, "epoch": self.epoch, "seconds": round(self.seconds, 1)}
        model, stop = self.train_step.ema.module, lambda: may_leave and self.interruption.requested
        try:
            record = self.validator.judge(model, figures, self.say, stop)
        except ValidationLeftError:
            self.unscored = True
            return True
        self.unscored = False
        if self.run is not None:
            if record is not None:
                self.run.log(record)
            self.run.draw_pictures()
            self._report()
        return False

    def _try_average(self) -> None:
        """At the end, and once: the mean of the last epochs' weights becomes `best` if it is better than all before."""
        if self.average.count < 2:
            return
        stale = self.validator.stale
        weights = {name: tensor.clone() for name, tensor in self.train_step.ema.module.state_dict().items()}
        self.train_step.ema.module.load_state_dict(self.average.mean)
        self.say(f"mean of the last {self.average.count} epochs:")
        self._validate()
        self.train_step.ema.module.load_state_dict(weights)
        if not self.unscored:
            self.validator.stale, self.average.count = stale, 0  # patience is for the weights that learn
            self._save()

    def _report(self) -> dict[str, Any]:
        """Write and return `report.json`."""
        report = {
            "name": self.cfg.name,
            "fold": self.cfg.fold,
            "step": self.step,
            "epochs_done": self.epoch,
            "training_seconds": round(self.seconds, 1),
            **self.validator.verdict(at_end=self.epoch == self.cfg.epochs),
            "lines": self.data.counts(),
            "precision": self.precision,
            "torch": torch.__version__,
            "hashes": self.hashes,
            "config": self.cfg.to_dict(),
        }
        if self.run is not None:
            write_json(self.cfg.run_dir / "report.json", report)
        return report

    def _save(self) -> None:
        """Write the resume state: everything that the next step depends on."""
        self.saved = time.perf_counter()
        if not self.accelerator.is_main_process:
            return
        state = {
            "config": self.cfg.to_dict(),
            "hashes": self.hashes,
            "place": [self.epoch, self.done, self.step],
            "unscored": self.unscored,
            "losses": self.losses,
            "seconds": self.seconds,
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
            "ranks": self.ranks,
        }
        save_state(self.cfg.run_dir, state, keep=self.cfg.keep_states)

    def _parts(self) -> dict[str, Stateful]:
        """Everything with a memory of its own."""
        return {**self.train_step.parts(), "average": self.average, "referee": self.validator}

    def _restore(self) -> None:
        """Load the resume state; raises NetchuError when config or data are not those it was made with."""
        state, warning = load_state(self.cfg.run_dir)
        self.say(warning)
        refuse_other_run(state, self.cfg, self.hashes, ranks=self.ranks)
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        self.epoch, self.done, self.step = state["place"]
        self.unscored = state.get("unscored", False)
        self.seconds, self.losses = state["seconds"], state["losses"]
        self.say(f"resumed after {self.step} batches, in epoch {self.epoch + 1} of {self.cfg.epochs}")


def _open_source(cfg: Config, open_source: OpenSource | None) -> LineSource | None:
    """The source of synthetic lines that a config asks for, if it does."""
    if not cfg.synthetic_source:
        if not cfg.manifest:
            raise NetchuError("manifest is empty: name one, or a synthetic_source such as address")
        return None
    if open_source is None:
        raise NetchuError(
            f"synthetic_source={cfg.synthetic_source}: only train.py renders lines while training; start it"
        )
    return open_source(cfg)


def fit(cfg: Config, *, resume: bool | None = None, open_source: OpenSource | None = None) -> dict[str, Any]:
    """Train the run that `cfg` describes, into `cfg.run_dir`, from its last saved step exactly where it has one.

    `resume` True: there must be one; False: begin anew and delete what was saved. `open_source` makes the source of
    synthetic lines that `cfg.synthetic_source` names. Raises NetchuError when the saved run had another config or other
    data, or when a data worker has died; StoppedError after a signal, with everything saved.
    """
    try:
        return Trainer(cfg, resume=resume, open_source=open_source).train()
    except RuntimeError as error:  # of the data loader, which has no class of its own for it
        said = str(error.__cause__ or error)
        if "DataLoader worker (pid" not in said and "shared memory" not in said:
            raise
        raise NetchuError(
            f"a data worker has died ({said.strip().splitlines()[-1].split('. ')[0]}); most often /dev/shm or the "
            f"memory is full: give Docker --shm-size=2g, or --set workers=0; {cfg.run_dir} goes on from its last state"
        ) from error

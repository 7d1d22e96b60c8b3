"""All folds of one config, one after another or spread over the GPUs, and what they say together.

`outputs/NAME_folds/` gets `folds.json` (the figures of each fold, their mean and spread, and those of all out-of-fold
answers pooled) and `oof.csv` (id, source, fold, text, answer, confidence of every line, read by the model that had
not seen it).
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from netchu.core.config import Config
from netchu.core.errors import NetchuError, StoppedError
from netchu.core.files import read_report, write_json
from netchu.core.interruption import Interruption
from netchu.core.metrics import score_by_source
from netchu.data.frames import read_answers, write_frame
from netchu.data.manifest import FOLDS
from netchu.training.resume import run_hashes

FIGURES = ("cer", "wer", "exact", "kalapa_score")
COLUMNS = ("id", "source", "fold", "text", "answer", "confidence")

Fit = Callable[[Config], dict[str, Any]]  # config -> report


def train_folds(runs: Sequence[Config], fit: Fit, command: Callable[[Config], list[str]], *, anew: bool = False) -> str:
    """Train the run of every fold that is not complete yet, or of every fold `anew`; returns the table and writes it
    with the answers.

    fit trains one run in this process. command gives the words that train a fold in a process of its own, used when
    several GPUs are visible; then each GPU takes the next fold as soon as it is free.
    """
    todo = [cfg for cfg in runs if anew or not is_complete(cfg)]
    gpus = torch.cuda.device_count()
    if gpus > 1:
        _spread(todo, command, gpus)
    else:
        for cfg in todo:
            fit(cfg)
    return sum_up(runs)


def is_complete(cfg: Config) -> bool:
    """Whether the run of a config, with the manifest as it is now, has come to its end."""
    report = read_report(cfg.run_dir)
    ended = bool(report.get("epochs_done", 0) >= cfg.epochs or report.get("ended_early", False))
    return ended and report["config"] == cfg.to_dict() and report["hashes"] == run_hashes(cfg)


def _spread(todo: Sequence[Config], command: Callable[[Config], list[str]], gpus: int) -> None:
    """Train each run in a process with one GPU; raises NetchuError when one fails, after ending the others, and
    StoppedError after a signal, which is passed on so that they save their states."""
    waiting, running = list(todo), dict[int, tuple[Config, subprocess.Popen[bytes]]]()
    interruption = Interruption()
    with interruption.watch():
        try:
            while (waiting or running) and not interruption.requested:
                for gpu in range(gpus):
                    if gpu not in running and waiting:
                        cfg = waiting.pop(0)
                        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": str(gpu)}
                        running[gpu] = cfg, subprocess.Popen([sys.executable, *command(cfg)], env=environment)
                        print(f"fold {cfg.fold} on GPU {gpu}")
                time.sleep(1.0)
                for gpu, (cfg, process) in list(running.items()):
                    if process.poll() is not None and not interruption.requested:
                        del running[gpu]
                        if process.returncode:
                            raise NetchuError(f"fold {cfg.fold}: ended with status {process.returncode}; see above")
        finally:
            for _, process in running.values():
                process.terminate()
            for _, process in running.values():
                process.wait()
    if interruption.requested:
        raise StoppedError("stopped, all saved; go on with the same command", interruption.number)


def sum_up(runs: Sequence[Config]) -> str:
    """The table of complete fold runs; writes `folds.json` and `oof.csv` beside them."""
    import pandas as pd

    tables = []
    figures: dict[int, Any] = {}
    for cfg in runs:
        report = read_report(cfg.run_dir)
        if report["held_out"] is None:
            raise NetchuError(f"{cfg.manifest}: has no line in fold {cfg.fold}; make folds with prepare_ext_data.py")
        figures[cfg.fold] = report["held_out"]["by_source"]
        tables.append(read_answers(cfg.run_dir / "valid.csv").assign(fold=cfg.fold))
    table = pd.concat(tables)
    table["id"] = ["/".join(Path(image).parts[-2:]) for image in table.img_path]
    folder = runs[0].run_dir.parent / f"{re.sub(r'_f[0-9]$', '', runs[0].name)}_folds"
    folder.mkdir(parents=True, exist_ok=True)
    write_frame(folder / "oof.csv", table[list(COLUMNS)], float_format="%.4f")
    scores = score_by_source(table.answer.tolist(), table.text.tolist(), table.source.tolist())
    pooled = {source: own.to_dict() for source, own in scores.items()}
    spread = {source: {key: _spread_of(figures, source, key) for key in FIGURES} for source in pooled}
    write_json(folder / "folds.json", {"folds": figures, "mean_and_spread": spread, "pooled": pooled})
    return "\n".join(
        [_table(source, figures, spread[source], pooled[source]) for source in pooled]
        + [f"{folder}/oof.csv: {len(table)} answers, each by the model that had not seen its writer"]
    )


def _spread_of(figures: dict[int, Any], source: str, key: str) -> tuple[float, float]:
    """Mean and standard deviation of a figure over the folds that have lines of a source."""
    values = [fold[source][key] for fold in figures.values() if source in fold]
    return mean(values), stdev(values) if len(values) > 1 else 0.0


def _table(source: str, figures: dict[int, Any], spread: dict[str, tuple[float, float]], pooled: dict[str, Any]) -> str:
    """One source's figures, a row a fold."""

    def row(name: str, values: Sequence[float]) -> str:
        cer, wer, exact, kalapa = values
        return f"  {name:<10}{100 * cer:8.2f} %{100 * wer:8.2f} %{100 * exact:8.1f} %{kalapa:10.4f}"

    rows = [f"{source}\n  {'fold':<10}{'CER':>10}{'WER':>10}{'exact':>10}{'kalapa':>10}"]
    rows += [row(str(k), [fold[source][f] for f in FIGURES]) for k, fold in sorted(figures.items()) if source in fold]
    rows.append(row("mean", [spread[key][0] for key in FIGURES]))
    rows.append(row("spread", [spread[key][1] for key in FIGURES]))
    rows.append(row("pooled", [pooled[key] for key in FIGURES]))
    return "\n".join(rows)


def fold_runs(load: Callable[[int], Config]) -> list[Config]:
    """The config of each fold; a name that a user gave all of them gets the fold at its end."""
    runs = [load(fold) for fold in range(FOLDS)]
    if len({cfg.name for cfg in runs}) < FOLDS:
        runs = [replace(cfg, name=f"{re.sub(r'_f[0-9]$', '', cfg.name)}_f{cfg.fold}") for cfg in runs]
    return runs

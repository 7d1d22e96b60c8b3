"""Every run in a folder, the best first: netchu runs [outputs] [--sort cer] [--json].

A run is a folder with `report.json`, or with a log that holds a validation. Beside its best held-out figures stand the
fields of its config in which the runs differ.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netchu.core.config import MachineFields, names
from netchu.core.errors import NetchuError
from netchu.core.files import read_log, read_report

LOWER_IS_BETTER = frozenset({"cer", "wer", "training_seconds"})
FIGURES = ("kalapa_score", "cer", "wer", "exact")


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as its folder tells it: its report, empty until its end, and the records of its log."""

    folder: Path
    report: dict[str, Any]
    log: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.report.get("name", self.folder.name))

    @property
    def config(self) -> dict[str, Any]:
        """The fields of its config."""
        return dict(self.report.get("config", {}))

    @property
    def figures(self) -> dict[str, float]:
        """Those of its best validation, empty without held-out lines."""
        validations = [record for record in self.log if "kalapa_score" in record]
        best = self.report.get("held_out") or max(validations, key=lambda r: r["kalapa_score"], default={})
        return {key: best[key] for key in FIGURES if key in best}

    @property
    def step(self) -> int:
        """How many steps it has made."""
        return int(self.report.get("step", self.log[-1].get("step", 0) if self.log else 0))

    @property
    def training_seconds(self) -> float:
        """How long it trained, 0 until its end."""
        return float(self.report.get("training_seconds", 0))

    def value(self, key: str) -> float:
        """A figure by name; what is missing sorts last."""
        worst = float("inf") if key in LOWER_IS_BETTER else float("-inf")
        return self.training_seconds if key == "training_seconds" else self.figures.get(key, worst)


def find_runs(folder: Path, sort: str = "kalapa_score") -> list[PastRun]:
    """Runs at or below a folder, the best first; raises NetchuError when there is none."""
    if not folder.is_dir():
        raise NetchuError(f"{folder}: no such folder; runs are in outputs/, or in the output_dir of their configs")
    folders = sorted({path.parent for name in ("report.json", "log.jsonl") for path in folder.rglob(name)})
    runs = [run for run in map(read_run, folders) if run is not None]
    if not runs:
        raise NetchuError(f"{folder}: holds no runs; train one, or give the output_dir of their configs")
    return sorted(runs, key=lambda run: run.value(sort), reverse=sort not in LOWER_IS_BETTER)


def read_run(folder: Path) -> PastRun | None:
    """The run in a folder; None when it holds a report of something else, or nothing yet."""
    log = folder / "log.jsonl"
    run = PastRun(folder, read_report(folder), read_log(log) if log.is_file() else [])
    return run if run.report or run.figures else None


def differing_fields(runs: Sequence[PastRun]) -> list[str]:
    """Fields of the configs that are not the same in all runs."""
    known = [run.config for run in runs if run.config]
    keys = sorted({key for config in known for key in config} - names(MachineFields) - {"name"})
    return [key for key in keys if len({json.dumps(config.get(key)) for config in known}) > 1]


def describe_runs(runs: Sequence[PastRun]) -> str:
    """A table: figures, steps, seconds, name, and what sets the runs' configs apart."""
    fields = differing_fields(runs)
    rows = [f"{'kalapa':>8} {'CER %':>7} {'WER %':>7} {'exact %':>7} {'steps':>8} {'seconds':>8}  run"]
    for run in runs:
        f = run.figures
        shown = (
            f"{f['kalapa_score']:8.4f} {100 * f['cer']:7.2f} {100 * f['wer']:7.2f} {100 * f['exact']:7.1f}"
            if f
            else f"{'none held out':>32}"
        )
        apart = " ".join(f"{key}={run.config[key]}" for key in fields if key in run.config)
        rows.append(f"{shown} {run.step:8} {run.training_seconds:8.0f}  {run.folder.as_posix()}  {apart}".rstrip())
    return "\n".join(rows)


def main() -> None:
    """Print the runs of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("outputs"))
    parser.add_argument("--sort", choices=(*FIGURES, "training_seconds"), default="kalapa_score")
    parser.add_argument("--json", action="store_true", help="for other programs")
    args = parser.parse_args()
    runs = find_runs(args.folder, args.sort)
    if args.json:
        entries = [{"run": str(run.folder), **run.figures, "step": run.step, "config": run.config} for run in runs]
        print(json.dumps(entries, ensure_ascii=False, indent=2))
    else:
        print(describe_runs(runs))

"""Every run in a folder, the best first: netchu runs [outputs] [--sort cer] [--json].

A run is a folder with `report.json`, or with a log that holds a validation. Beside its best held-out figures stand the
fields of its config in which the runs differ.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.config import MachineFields, names
from netchu.core.errors import NetchuError
from netchu.core.files import read_log, read_report

if TYPE_CHECKING:
    import pandas as pd

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
    def figures(self) -> dict[str, float]:
        """Those of its best validation, empty without held-out lines."""
        validations = [record for record in self.log if "kalapa_score" in record]
        best = self.report.get("held_out") or max(validations, key=lambda r: r["kalapa_score"], default={})
        return {key: best[key] for key in FIGURES if key in best}


def read_run(folder: Path) -> PastRun | None:
    """The run in a folder; None when it holds a report of something else, or nothing yet."""
    log = folder / "log.jsonl"
    run = PastRun(folder, read_report(folder), read_log(log) if log.is_file() else [])
    return run if run.report or run.figures else None


def find_runs(folder: Path, sort: str = "kalapa_score") -> "pd.DataFrame":
    """The runs at or below a folder, the best first; raises NetchuError when there is none.

    Columns: `run` (its folder), FIGURES (NaN without held-out lines), `step`, `training_seconds` (0 until its end) and
    `config`, a mapping that is empty until its end.
    """
    import pandas as pd

    if not folder.is_dir():
        raise NetchuError(f"{folder}: no such folder; runs are in outputs/, or in the output_dir of their configs")
    folders = sorted({path.parent for name in ("report.json", "log.jsonl") for path in folder.rglob(name)})
    rows = [
        {
            "run": run.folder.as_posix(),
            **run.figures,
            "step": run.report.get("step", run.log[-1].get("step", 0) if run.log else 0),
            "training_seconds": run.report.get("training_seconds", 0.0),
            "config": run.report.get("config", {}),
        }
        for run in map(read_run, folders)
        if run is not None
    ]
    if not rows:
        raise NetchuError(f"{folder}: holds no runs; train one, or give the output_dir of their configs")
    table = pd.DataFrame(rows, columns=["run", *FIGURES, "step", "training_seconds", "config"])
    return table.sort_values(sort, ascending=sort in LOWER_IS_BETTER, kind="stable", ignore_index=True)


def differing_fields(runs: "pd.DataFrame") -> list[str]:
    """Fields of the configs that are not the same in all runs."""
    import pandas as pd

    known = pd.DataFrame([config for config in runs.config if config]).astype(str)
    return [key for key in sorted(set(known) - names(MachineFields) - {"name"}) if known[key].nunique() > 1]


def describe_runs(runs: "pd.DataFrame") -> str:
    """A table: figures, steps, seconds, name, and what sets the runs' configs apart."""
    fields = differing_fields(runs)
    rows = [f"{'kalapa':>8} {'CER %':>7} {'WER %':>7} {'exact %':>7} {'steps':>8} {'seconds':>8}  run"]
    for run in runs.itertuples():
        shown = f"{run.kalapa_score:8.4f} {100 * run.cer:7.2f} {100 * run.wer:7.2f} {100 * run.exact:7.1f}"
        shown = shown if run.cer >= 0 else f"{'none held out':>32}"
        apart = " ".join(f"{key}={run.config[key]}" for key in fields if key in run.config)
        rows.append(f"{shown} {run.step:8} {run.training_seconds:8.0f}  {run.run}  {apart}".rstrip())
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
        rows = runs.drop(columns="training_seconds").to_dict("records")
        entries = [{key: value for key, value in row.items() if value == value} for row in rows]  # no NaN
        print(json.dumps(entries, ensure_ascii=False, indent=2))
    else:
        print(describe_runs(runs))

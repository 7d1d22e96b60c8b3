"""The lines of one run: manifest -> charset, training set, held-out set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.data.manifest import LeakReport, read_lines, refuse_leaks, split
from netchu.training.dataset import LineDataset
from netchu.training.rendering import LineSource


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run trains on and is judged by; `valid_set` is None when nothing is held out."""

    name: str
    charset: Charset
    train_set: LineDataset
    valid_set: LineDataset | None
    leaks: LeakReport

    def __str__(self) -> str:
        held_out = len(self.valid_set) if self.valid_set else "none"
        rows = [
            f"{self.name}: {len(self.train_set)} lines to train on, {held_out} held out, "
            f"{len(self.charset) - 1} characters, {self.train_set.cached_bytes / 1e6:.0f} MB of lines in memory",
            f"{self.leaks.shared_texts} texts in several folds, {self.leaks.unknown_writers} lines of unknown writers",
            self.train_set.exclusion_report(),
            self.valid_set.exclusion_report() if self.valid_set else "",
        ]
        return "\n".join(row for row in rows if row)

    def counts(self) -> dict[str, Any]:
        """How many lines there are, and which were left out, for a report."""
        return {
            "train": len(self.train_set),
            "held_out": len(self.valid_set) if self.valid_set else 0,
            "excluded": [str(line.path) for line in self.train_set.excluded],
        }


def load_run_data(cfg: Config, source: LineSource | None) -> RunData:
    """Read and check the lines of a run; raises NetchuError for leaks between folds or when none is left to train on.

    The charset holds every character of the manifest and of the source of synthetic lines.
    """
    manifest = Path(cfg.manifest)
    lines = read_lines(manifest) if cfg.manifest else []
    leaks = refuse_leaks(lines, manifest)
    train, held_out = split(lines, cfg.fold)
    if not train and not source:
        raise NetchuError(f"{manifest}: no line to train on with fold {cfg.fold} held out; choose another --fold")
    charset = Charset.from_texts([*(line.text for line in lines), source.characters if source else ""])
    return RunData(
        name=cfg.name,
        charset=charset,
        train_set=LineDataset(train, cfg, train=True),
        valid_set=LineDataset(held_out, cfg, train=False) if held_out else None,
        leaks=leaks,
    )

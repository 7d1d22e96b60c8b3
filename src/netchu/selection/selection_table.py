"""What selection tried, as a small table beside its ensemble.json: what each choice costs and how it reads.

Columns: `mb` (10^6 bytes of all files), `ms_a_line` (one line at a time, on the machine that selected), `cer`, `exact`,
`kalapa_score` (fractions, on the lines that were selected on, with settings tuned for all members together; those of
the chosen one are tuned once more afterwards), `fits`, `chosen`, `members` (names and weights).
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from netchu.core.budget import MEGABYTE
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.reading.line_reader import Settings
from netchu.selection.decoder_tuning import ScoredLine, evaluate
from netchu.selection.search import Choice, Limits

COLUMNS = ("mb", "ms_a_line", "cer", "exact", "kalapa_score", "fits", "chosen", "members")
MOST = 200  # choices that are written besides the single members


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """One row; `members` as `name weight + name weight`."""

    mb: float
    ms_a_line: float
    cer: float
    exact: float
    kalapa_score: float
    fits: bool
    chosen: bool
    members: str

    @property
    def count(self) -> int:
        """How many members vote."""
        return self.members.count(" + ") + 1


def selection_rows(
    found: Sequence[Choice],
    alone: Sequence[Choice],
    names: Sequence[str],
    lines: Sequence[ScoredLine],
    limits: Limits,
    settings: Settings,
) -> list[SelectionRow]:
    """The best weighting of each set of members in `found` (best first, the first one is chosen), at most `MOST` of
    them, and every member `alone`. `names`: of the members, which `Choice.weights` are paired with."""
    best: dict[tuple[bool, ...], Choice] = {}
    for choice in found:
        best.setdefault(tuple(w > 0 for w in choice.weights), choice)
    kept = dict(islice(best.items(), MOST))
    for choice in alone:
        kept.setdefault(tuple(w > 0 for w in choice.weights), choice)
    rows = []
    for choice in kept.values():
        scores = evaluate(lines, np.array(choice.weights), settings)
        parts = [f"{name} {w:.2f}" for name, w in zip(names, choice.weights, strict=True) if w > 0]
        rows.append(
            SelectionRow(
                mb=round(limits.bytes_of(choice.weights) / MEGABYTE, 3),
                ms_a_line=round(1e3 * limits.seconds_of(choice.weights), 1),
                cer=round(scores.cer, 6),
                exact=round(scores.exact, 6),
                kalapa_score=round(scores.kalapa_score, 6),
                fits=limits.allow(choice.weights),
                chosen=choice is found[0],
                members=" + ".join(parts),
            )
        )
    return rows


def write_selection_table(path: Path, rows: Iterable[SelectionRow]) -> None:
    """Write the table as CSV, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)


def read_selection_table(path: Path) -> list[SelectionRow]:
    """Read such a table; raises NetchuError when it is missing, empty or another file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [
                SelectionRow(
                    mb=float(row["mb"]),
                    ms_a_line=float(row["ms_a_line"]),
                    cer=float(row["cer"]),
                    exact=float(row["exact"]),
                    kalapa_score=float(row["kalapa_score"]),
                    fits=row["fits"] == "True",
                    chosen=row["chosen"] == "True",
                    members=row["members"],
                )
                for row in csv.DictReader(stream)
            ]
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such table; netchu select writes it") from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise NetchuError(f"{path}: is no selection table ({error!r}); select again") from error
    if not rows:
        raise NetchuError(f"{path}: holds no row; select again")
    return rows


def selection_table_path(recipe: Path) -> Path:
    """Where the table of a recipe stands: beside it, `ensemble_choices.csv` for `ensemble.json`."""
    return recipe.with_name(f"{recipe.stem}_choices.csv")

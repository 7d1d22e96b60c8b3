"""What selection tried, as a small table beside its ensemble.json: what each choice costs and how it reads.

Columns: `mb` (10^6 bytes of all files), `ms_a_line` (one line at a time, on the machine that selected), `cer`, `exact`,
`kalapa_score` (fractions, on the lines that were selected on, with settings tuned for all members together; those of
the chosen one are tuned once more afterwards), `fits`, `chosen`, `members` (names and weights).
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netchu.core.budget import MEGABYTE
from netchu.data.frames import read_frame
from netchu.reading.line_reader import Settings
from netchu.selection.decoder_tuning import ScoredLine, evaluate
from netchu.selection.search import Choice, Limits

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "mb": float, "ms_a_line": float, "cer": float, "exact": float, "kalapa_score": float, "fits": bool, "chosen": bool,
    "members": str,
}  # fmt: skip
MOST = 200  # choices that are written besides the single members


def selection_rows(
    found: Sequence[Choice],
    alone: Sequence[Choice],
    names: Sequence[str],
    lines: Sequence[ScoredLine],
    limits: Limits,
    settings: Settings,
) -> "pd.DataFrame":
    """The best weighting of each set of members in `found` (best first, the first one is chosen), at most `MOST` of
    them, and every member `alone`. `names`: of the members, which `Choice.weights` are paired with."""
    import pandas as pd

    best: dict[tuple[bool, ...], Choice] = {}
    for choice in found:
        best.setdefault(tuple(w > 0 for w in choice.weights), choice)
    kept = dict(islice(best.items(), MOST))
    for choice in alone:
        kept.setdefault(tuple(w > 0 for w in choice.weights), choice)
    rows = [{**about(choice, names, lines, limits, settings), "chosen": choice is found[0]} for choice in kept.values()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def about(
    choice: Choice, names: Sequence[str], lines: Sequence[ScoredLine], limits: Limits, settings: Settings
) -> dict[str, Any]:
    """A choice by COLUMNS, but for `chosen`."""
    scores = evaluate(lines, np.array(choice.weights), settings)
    parts = [f"{name} {w:.2f}" for name, w in zip(names, choice.weights, strict=True) if w > 0]
    return {
        "mb": round(limits.bytes_of(choice.weights) / MEGABYTE, 3),
        "ms_a_line": round(1e3 * limits.seconds_of(choice.weights), 1),
        **{key: round(getattr(scores, key), 6) for key in ("cer", "exact", "kalapa_score")},
        "fits": limits.allow(choice.weights),
        "members": " + ".join(parts),
    }


def read_selection_table(path: Path) -> "pd.DataFrame":
    """Read such a table; raises NetchuError when it is missing, empty or another file."""
    return read_frame(path, COLUMNS, "selection table", "netchu select writes it")


def selection_table_path(recipe: Path) -> Path:
    """Where the table of a recipe stands: beside it, `ensemble_choices.csv` for `ensemble.json`."""
    return recipe.with_name(f"{recipe.stem}_choices.csv")

"""Tables as pandas DataFrames with explicit types. pandas is imported when a table is read: reading does without it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.tables import read_csv_rows

if TYPE_CHECKING:
    import pandas as pd

ANSWERS = {"img_path": str, "source": str, "text": str, "answer": str, "confidence": float}  # of held-out lines
EXPECTED = {int: "a whole number", float: "a number", bool: "True or False"}


def read_frame(
    path: Path, types: Mapping[str, type], what: str, remedy: str, optional: Collection[str] = ()
) -> "pd.DataFrame":
    """The columns `types` (str, int, float or bool) of a CSV, in that order; a text is kept as it stands, `NA` and the
    empty one too. `what` the table is; `optional` columns of texts may be missing and are then empty.

    Raises NetchuError with file, row and remedy for a missing file or column, a row of another length, a cell of
    another type, or a table without rows.
    """
    import pandas as pd

    if not path.is_file():
        raise NetchuError(f"{path}: no such {what}; {remedy}")
    names, rows = read_csv_rows(path)
    missing = [name for name in types if name not in names and name not in optional]
    if missing:
        raise NetchuError(f"{path}: no column {missing[0]!r}, expected {','.join(types)}; {remedy}")
    if not rows:
        raise NetchuError(f"{path}: has no rows; {remedy}")
    frame = pd.DataFrame(rows, dtype=str).reindex(columns=list(types), fill_value="")
    for name, kind in types.items():
        if kind is str:
            continue
        cells = frame[name].map({"True": 1, "False": 0}) if kind is bool else frame[name]
        values = pd.to_numeric(cells, errors="coerce")
        wrong = ~np.isfinite(values) | (values.round() != values if kind is int else False)
        if wrong.any():
            row = int(wrong.argmax())
            cell = frame[name].iloc[row]
            raise NetchuError(f"{path}:{row + 2}: {name} is {cell!r}; expected {EXPECTED[kind]}")
        frame[name] = values.astype({int: "int64", float: "float64", bool: "bool"}[kind])
    return frame


def read_answers(path: Path) -> "pd.DataFrame":
    """The held-out answers of a run (`valid.csv`), columns as in ANSWERS."""
    return read_frame(path, ANSWERS, "table of answers", "a run writes it while it trains")


def write_frame(path: Path, frame: "pd.DataFrame", float_format: str | None = None) -> None:
    """Write a table as CSV in UTF-8, atomically."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8", float_format=float_format)

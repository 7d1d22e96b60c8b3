"""Tab-separated text files, read with the file and the row named in every refusal."""

from pathlib import Path

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError


def read_text(path: Path) -> str:
    """A UTF-8 file; raises NetchuError when it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise NetchuError(f"{path}: is not UTF-8; save it again as UTF-8") from None
    except OSError as error:
        raise NetchuError(f"{path}: cannot be read ({error.strerror})") from error


def read_cells(path: Path, columns: int = 2) -> list[list[str]]:
    """Rows of a UTF-8 file of tab-separated columns, blank lines skipped, outer spaces of cells taken off.

    Raises NetchuError naming the row that has fewer than `columns` columns or an empty first one.
    """
    rows = []
    for number, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip():
            continue
        row = text.split("\t")
        if len(row) < columns or not row[0].strip():
            raise NetchuError(
                f"{path}:{number}: expected {columns} columns separated by a tab, found {text[:60]!r}; correct this row"
            )
        rows.append([cell.strip() for cell in row])
    if not rows:
        raise NetchuError(f"{path}: holds no rows; expected image, tab, text")
    return rows


def read_table(path: Path, columns: int = 2) -> list[list[str]]:
    """`read_cells` with the second column, the label, made NFC."""
    return [[row[0], normalise(row[1]), *row[2:]] for row in read_cells(path, columns)]

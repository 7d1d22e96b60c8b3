"""Text files and tables, read with the file and the row named in every refusal."""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError

LARGEST_CELL = 1 << 30  # characters; the csv module stops at 131,072 unless told


def plain_label(text: str) -> str:
    """A label on one line: NFC, with line breaks, tabs and no-break spaces as plain spaces, none of them outside."""
    return normalise(re.sub(r"\r\n|[^\S ]", " ", text)).strip()


def read_text(path: Path) -> str:
    """A file in UTF-8, or in UTF-16 that begins with its mark; raises NetchuError when it is missing or neither."""
    try:
        data = path.read_bytes()
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise NetchuError(
            f"{path}: is not UTF-8 (Excel on a Vietnamese Windows writes code page 1258); save it again as "
            "CSV UTF-8, or as text in UTF-8"
        ) from None
    except OSError as error:
        raise NetchuError(f"{path}: cannot be read ({error.strerror})") from error


def read_cells(path: Path, most: int = 2) -> list[list[str]]:
    """Rows of a text file of tab-separated columns, blank lines skipped, outer spaces of cells taken off.

    Raises NetchuError naming the row that has fewer than two columns, an empty first one, more than `most` or another
    number than the first row: a tab inside a label would lose the rest of it.
    """
    rows: list[list[str]] = []
    for number, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        row = text.split("\t")
        if len(row) < 2 or not row[0].strip():
            raise NetchuError(
                f"{path}:{number}: expected 2 columns separated by a tab, found {text[:60]!r}; correct this row"
            )
        if len(row) > most or (rows and len(row) != len(rows[0])):
            expected = len(rows[0]) if rows else most
            raise NetchuError(
                f"{path}:{number}: has {len(row)} columns separated by tabs, {expected} expected; a label holds no tab"
            )
        rows.append([cell.strip() for cell in row])
    if not rows:
        raise NetchuError(f"{path}: holds no rows; expected image, tab, text")
    return rows


def read_table(path: Path) -> list[list[str]]:
    """`read_cells` of up to three columns with the second one, the label, made a plain one."""
    return [[row[0], plain_label(row[1]), *row[2:]] for row in read_cells(path, 3)]


def read_csv_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """(column names, rows) of a CSV with a header, separated by comma, semicolon or tab.

    Raises NetchuError naming the row that has fewer or more cells than the header, or a quote that is not closed.
    """
    text = read_text(path)
    separator = find_separator(text)
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] = []
    rows: list[dict[str, str]] = []
    try:
        names = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if cells and len(cells) != len(names):
                remedy = "correct this row" if len(cells) < len(names) else f"quote texts that hold {separator!r}"
                more = "fewer" if len(cells) < len(names) else "more"
                raise NetchuError(f"{path}:{reader.line_num}: has {more} columns than the header; {remedy}")
            if cells:
                rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise NetchuError(f"{path}:{reader.line_num}: is not CSV ({error}); correct this row") from None
    return names, rows


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A CSV with a header, by comma."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def csv_header(path: Path) -> list[str]:
    """Column names of a file that may be a CSV with a header; raises NetchuError for one in another encoding."""
    try:
        text = read_text(path)
    except NetchuError:
        if path.suffix.lower() in (".csv", ".tsv"):
            raise
        return []
    first = text.partition("\n")[0]
    return [name.strip().strip('"').strip() for name in first.split(find_separator(first))]


def find_separator(text: str) -> str:
    """Comma, semicolon or tab: what stands most often in the header."""
    return max(",;\t", key=text.partition("\n")[0].count)

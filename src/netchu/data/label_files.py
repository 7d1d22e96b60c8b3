"""Label files and the images that they name: what every reader shares.

Texts come back as they stand in the file; only `read_table` makes them NFC.
"""

import csv
import io
import json
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError
from netchu.core.image_files import IMAGE_SUFFIXES
from netchu.core.tables import read_text

SPLIT_NAMES = frozenset({"train", "training", "data", "images", "test", "val", "lines"})
LARGEST_CELL = 1 << 30  # characters; the csv module stops at 131,072 unless told


class ImageFinder:
    """Finds the images that a label file names, whatever folders stand before the name in the file or on the disk."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots
        self._given: dict[Path, Path] = {}  # image -> the name that it was given for

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in dict.fromkeys(path for root in self.roots for path in root.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                found[path.name].append(path)
        return found

    @cached_property
    def _folders(self) -> set[str]:
        return {path.parent.name for paths in self._by_name.values() for path in paths}

    def find(self, name: str) -> Path:
        """The image of that name: as the path says, else the one whose path ends most alike.

        Returns the path as it was said when there is none; 8/5.jpg does not stand for 7/5.jpg where a folder 7 is.
        Raises NetchuError when two fit equally well, or when the one that fits was found for another name before.
        """
        wanted = Path(name.replace("\\", "/"))
        for root in self.roots:
            if (root / wanted).is_file():
                return self._give(root / wanted, wanted)
        likeness = {path: _common_end(path, wanted) for path in self._by_name.get(wanted.name, ())}
        best = [path for path, count in likeness.items() if count == max(likeness.values())]
        if len(best) > 1:
            raise NetchuError(f"{best[0]}: the name {name} may also mean {best[1]}; rename one or give its whole path")
        if not best or (likeness[best[0]] == 1 and wanted.parent.name in self._folders):
            return self.roots[0] / wanted
        return self._give(best[0], wanted)

    def _give(self, path: Path, wanted: Path) -> Path:
        """The path, unless another name has led to it; a repeated name is a matter for `netchu check`."""
        before = self._given.setdefault(path, wanted)
        if before != wanted:
            raise NetchuError(f"{path}: is all there is for {before} and for {wanted}; add the image that is missing")
        return path


def _common_end(one: Path, other: Path) -> int:
    """How many parts of two paths agree, from the end."""
    count = 0
    for a, b in zip(reversed(one.parts), reversed(other.parts), strict=False):
        if a != b:
            break
        count += 1
    return count


def source_name(path: Path) -> str:
    """Name of a data set: that of its folder, or of the folder above where that one only says `train` or the like."""
    folder = path.resolve()
    folder = folder.parent if folder.is_file() else folder
    while folder.name in SPLIT_NAMES and folder.parent.name:
        folder = folder.parent
    return folder.name


def read_json(path: Path) -> Any:
    """Value of a JSON file; raises NetchuError naming the row that is not JSON."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise NetchuError(f"{path}:{error.lineno}: is not JSON ({error.msg}); correct this row") from None


def read_csv_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """(column names, rows) of a CSV in UTF-8 with a header, separated by comma, semicolon or tab.

    Raises NetchuError naming the row that has fewer or more cells than the header, or a quote that is not closed.
    """
    text = read_text(path)
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        for row in reader:
            if None in row.values():
                raise NetchuError(f"{path}:{reader.line_num}: has fewer columns than the header; correct this row")
            if None in row:
                raise NetchuError(
                    f"{path}:{reader.line_num}: has more columns than the header; quote texts that hold {separator!r}"
                )
            rows.append(row)
    except csv.Error as error:
        raise NetchuError(f"{path}:{reader.line_num}: is not CSV ({error}); correct this row") from None
    return [name or "" for name in reader.fieldnames or ()], rows


def csv_header(path: Path) -> list[str]:
    """Column names of a file that may be a CSV with a header; nothing when it is no text."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            first = stream.readline(65536)
    except (OSError, UnicodeDecodeError):
        return []
    return [name.strip().strip('"') for name in first.rstrip("\r\n").split(max(",;\t", key=first.count))]

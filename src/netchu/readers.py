"""Readers: a data set in some layout -> manifest lines, without folds yet; each layout is a row of READERS.

A reader's `read` returns lines as the label files have them; calling the row also makes labels NFC and raises
NetchuError for an image that is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from netchu.charset import normalise
from netchu.errors import NetchuError
from netchu.manifest import Line
from netchu.readers_challenge import is_iam, is_kalapa, is_labels_json, read_iam, read_kalapa, read_labels_json
from netchu.readers_mcocr import is_mcocr, read_mcocr
from netchu.readers_review import is_label_studio, is_sidecars, read_label_studio, read_sidecars
from netchu.readers_store import is_lmdb, is_parquet, read_lmdb, read_parquet
from netchu.readers_table import (
    is_csv,
    is_labels_tsv,
    is_path_text,
    read_csv,
    read_labels_tsv,
    read_path_text,
    read_synthetic,
)

COLUMNS = ("image", "text", "writer")  # what --columns can name


@dataclass(frozen=True, slots=True)
class Reader:
    """One layout: how it is read, how it is recognised, and which of the options `images` and `columns` it takes."""

    read: Callable[..., list[Line]]
    detect: Callable[[Path], bool]
    takes: tuple[str, ...] = ()

    def __call__(
        self, path: Path, *, images: Path, columns: Mapping[str, str] | None = None, raw: bool = False
    ) -> list[Line]:
        """Lines of the data set at `path`; those cut or unpacked from it become files below `images`.

        With `raw` the labels stay as they stand in the source, and missing images are not looked for.
        """
        options = {"images": images, "columns": columns or {}}
        lines = self.read(path, **{name: options[name] for name in self.takes})
        if raw:
            return lines
        for line in lines:
            if not line.path.is_file():
                raise NetchuError(f"{path}: names {line.path}, which is missing; add the image or remove its row")
        return [replace(line, text=normalise(line.text).strip()) for line in lines]

    @property
    def description(self) -> str:
        """First line of what the layout is."""
        return (self.read.__doc__ or "").splitlines()[0]


def detect_layout(path: Path) -> str:
    """Name of the one layout that fits; raises NetchuError when none does or several do."""
    if not path.exists():
        raise NetchuError(f"{path}: no such file or folder")
    fitting = [name for name, reader in READERS.items() if reader.detect(path)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"--{name}" for name in fitting or READERS)
    reason = "may be any of several layouts" if fitting else "is in no known layout"
    raise NetchuError(f"{path}: {reason}; say which: {known}")


READERS: dict[str, Reader] = {
    "kalapa": Reader(read_kalapa, is_kalapa),
    "labels-json": Reader(read_labels_json, is_labels_json),
    "labels-tsv": Reader(read_labels_tsv, is_labels_tsv),
    "label-studio": Reader(read_label_studio, is_label_studio),
    "mcocr": Reader(read_mcocr, is_mcocr, takes=("images",)),
    "path-text": Reader(read_path_text, is_path_text),
    "csv": Reader(read_csv, is_csv, takes=("columns",)),
    "sidecars": Reader(read_sidecars, is_sidecars),
    "iam": Reader(read_iam, is_iam),
    "parquet": Reader(read_parquet, is_parquet, takes=("images", "columns")),
    "lmdb": Reader(read_lmdb, is_lmdb, takes=("images",)),
    "synthetic": Reader(read_synthetic, lambda path: False, takes=("images",)),  # looks like labels-tsv: must be said
}

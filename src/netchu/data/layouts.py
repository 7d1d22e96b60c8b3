"""Readers: a data set in some layout -> manifest lines, without folds yet; each layout is a row of READERS.

A reader's `read` returns lines as the label files have them; calling the row also makes labels NFC and raises
NetchuError for an image that is missing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.image_files import AlikeFinder, is_file, is_foreign, list_files
from netchu.core.tables import plain_label
from netchu.data.challenge import read_iam, read_kalapa, read_labels_json
from netchu.data.json_lines import is_answers, metadata_files, read_answers, read_metadata
from netchu.data.label_files import has_any, has_image_beside
from netchu.data.manifest import Line
from netchu.data.mcocr import mcocr_files, read_mcocr
from netchu.data.regions import page_files, read_page_xml, read_pairs
from netchu.data.review import find_exports, read_label_studio, read_sidecars
from netchu.data.store import is_lmdb, parquet_files, read_lmdb, read_parquet
from netchu.data.table import is_csv, is_path_text, read_csv, read_labels_tsv, read_path_text, read_synthetic

COLUMNS = ("image", "text", "writer")  # what --columns can name
DEPTH = 2  # levels of folders in which data sets are looked for


@dataclass(frozen=True, slots=True)
class LayoutReader:
    """One layout: how it is read, how it is recognised, and which of the options `images` and `columns` it takes.

    `detect`: of a path, anything true (such as the files found there) where it is this layout.
    `deep`: suffix of its files, when they are looked for in all folders below a path, which may hold sets of other
    layouts as well."""

    read: Callable[..., list[Line]]
    detect: Callable[[Path], object]
    takes: tuple[str, ...] = ()
    deep: str = ""

    def __call__(
        self, path: Path, *, images: Path, columns: Mapping[str, str] | None = None, raw: bool = False
    ) -> list[Line]:
        """Lines of the data set at `path`; those cut or unpacked from it become files below `images`.

        With `raw` the labels stay as they stand in the source, and missing images are not looked for.
        """
        options = {"images": images, "columns": columns or {}}
        lines = self.read(path, **{name: options[name] for name in self.takes})
        finder = AlikeFinder()
        lines = [replace(line, path=finder.find(line.path) or line.path) for line in lines]
        if raw:
            return lines
        for line in lines:
            if not is_file(line.path):
                raise NetchuError(
                    f"{path}: names {str(line.path)[:200]}, which is missing; add the image or remove its row, or say "
                    "which column is the image"
                )
        return [replace(line, text=plain_label(line.text)) for line in lines]

    @property
    def description(self) -> str:
        """First line of what the layout is."""
        return (self.read.__doc__ or "").splitlines()[0]


def detect_layout(path: Path) -> str:
    """Name of the one layout that fits, "" when none does; raises NetchuError when several do."""
    if not path.exists():
        raise NetchuError(f"{path}: no such file or folder")
    fitting = [name for name, reader in READERS.items() if reader.detect(path)]
    if len(fitting) > 1:
        ways = ", ".join(f"--{name}" for name in fitting)
        raise NetchuError(f"{path}: may be any of several layouts; say which: {ways}")
    return fitting[0] if fitting else ""


def find_sets(path: Path, layout: str = "") -> list[tuple[str, Path]]:
    """(layout, path) of the data set at `path`: of that `layout`, or, where it is empty, of the detected one, or of
    those in the folders below it, DEPTH levels deep.

    Raises NetchuError when there is none, or when files of one layout lie beside folders of others.
    """
    found = [(layout, path)] if layout else list(_sets_below(path, DEPTH))
    if not found:
        raise NetchuError(f"{path}: is in no known layout; say which: {', '.join(f'--{name}' for name in READERS)}")
    return found


def _sets_below(path: Path, depth: int) -> Iterator[tuple[str, Path]]:
    layout = detect_layout(path)
    below: list[tuple[str, Path]] = []
    if path.is_dir() and depth and (not layout or READERS[layout].deep):
        for folder in sorted(child for child in path.iterdir() if child.is_dir() and not is_foreign(child)):
            below += _sets_below(folder, depth - 1)
    if not layout or any(name != layout for name, _ in below):
        if layout and list_files(path, READERS[layout].deep):
            raise NetchuError(f"{path}: holds {layout} and {below[0][0]} ({below[0][1]}); name each by --LAYOUT PATH")
        yield from below
    else:
        yield layout, path


READERS: dict[str, LayoutReader] = {
    "kalapa": LayoutReader(read_kalapa, has_any("annotations", "training_data/annotations")),
    "labels-json": LayoutReader(read_labels_json, has_any("labels.json")),
    "labels-tsv": LayoutReader(read_labels_tsv, has_any("labels.tsv")),
    "label-studio": LayoutReader(read_label_studio, find_exports, takes=("images",)),
    "mcocr": LayoutReader(read_mcocr, mcocr_files, takes=("images",)),
    "path-text": LayoutReader(read_path_text, is_path_text),
    "csv": LayoutReader(read_csv, is_csv, takes=("columns",)),
    "sidecars": LayoutReader(read_sidecars, partial(has_image_beside, suffix=".json"), deep=".json"),
    "iam": LayoutReader(read_iam, has_any("lines.txt", "ascii/lines.txt")),
    "parquet": LayoutReader(read_parquet, parquet_files, takes=("images", "columns"), deep=".parquet"),
    "lmdb": LayoutReader(read_lmdb, is_lmdb, takes=("images",)),
    "page-xml": LayoutReader(read_page_xml, page_files, takes=("images",)),
    "pairs": LayoutReader(read_pairs, partial(has_image_beside, suffix=".txt"), deep=".txt"),
    "huggingface": LayoutReader(read_metadata, metadata_files),
    "answers": LayoutReader(read_answers, is_answers),
    "synthetic": LayoutReader(read_synthetic, lambda path: False, takes=("images",)),  # never detected: as labels-tsv
}

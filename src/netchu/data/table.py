"""Readers of tables: tab-separated label files, CSVs with any column names, and the project's own synthetic lines."""

import codecs
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.image_files import is_file, is_image_name, list_files
from netchu.core.tables import csv_header, read_cells, read_csv_rows
from netchu.data.label_files import ImageFinder, find_column, source_name
from netchu.data.lmdb_file import STORE
from netchu.data.manifest import Line
from netchu.data.store import read_lmdb

COLUMN_NAMES: dict[str, tuple[str, ...]] = {  # what a column may be called, the likeliest first
    "image": (
        "img_path", "image_path", "file_name", "filename", "img_id", "image", "img", "file", "path", "image_id", "id",
    ),
    "text": ("text", "label", "transcription", "transcript", "anno_text", "anno_texts", "ground_truth", "words"),
    "writer": ("writer_id", "writer", "author"),
}  # fmt: skip


def read_labels_tsv(folder: Path) -> list[Line]:
    """A folder with `labels.tsv`: image path (from here or from `images/`), tab, text, perhaps a tab and the writer."""
    source = folder.resolve().name
    rows = read_cells(folder / "labels.tsv", 3)
    below = folder / "images"
    root = below if not is_file(folder / rows[0][0]) and is_file(below / rows[0][0]) else folder
    return [Line(root / image, text, writer[0] if writer else "", source=source) for image, text, *writer in rows]


def read_synthetic(folder: Path, *, images: Path) -> list[Line]:
    """Synthetic lines: `labels.tsv` or one `lines.lmdb`, marked with the folder's name as `aug`, so only trained on."""
    store = folder / STORE
    lines = read_lmdb(store, images=images) if store.is_file() else read_labels_tsv(folder)
    return [replace(line, source=folder.resolve().name, aug=folder.resolve().name) for line in lines]


def is_path_text(path: Path) -> bool:
    """Whether a text file, or some `*.txt` of a folder, begins with the name of an image and a tab."""
    return any(_names_image(file) for file in _text_files(path))


def read_path_text(path: Path) -> list[Line]:
    """VietOCR and PaddleOCR: a text file of `path<TAB>text` rows, or a folder with such `*.txt` files.

    Images are looked for beside the file and in the folders around it, whatever folder the rows were written for.
    Raises NetchuError for the detection labels of PaddleOCR, which have boxes instead of a text.
    """
    files = [file for file in _text_files(path) if path.is_file() or _names_image(file)]
    if not files:
        raise NetchuError(f"{path}: no such file of path<TAB>text rows; give the label file or its folder")
    lines = []
    for file in files:
        finder = ImageFinder(file.parent, file.parent.parent) if path.is_file() else ImageFinder(path)
        for name, text, *_ in read_cells(file):
            if text.startswith('[{"'):
                raise NetchuError(
                    f"{file}: holds boxes of whole pages, no lines; export cut lines (rec_gt.txt) from the label tool"
                )
            lines.append(Line(finder.find(name), text, source=source_name(path)))
    return lines


def _text_files(path: Path) -> list[Path]:
    """The label files that a path may mean."""
    if path.is_dir():
        return list_files(path, ".txt")
    return list_files(path, ".txt", ".tsv")


def _names_image(path: Path) -> bool:
    """Whether the first row of a file begins with the name of an image and a tab."""
    if path.name.lower() == "filestate.txt":  # PPOCRLabel's own notes
        return False
    with path.open("rb") as stream:
        start = stream.read(65536)
    coding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    name, tab, rest = start.decode(coding, "replace").partition("\n")[0].partition("\t")
    return bool(tab) and is_image_name(name.strip().replace("\\", "/")) and not rest.startswith("[{")


def is_csv(path: Path) -> bool:
    """Whether a CSV, or the only one of a folder, has a column for images and one for texts, and no polygons."""
    files = _csv_files(path)
    return len(files) == 1 and _has_columns(files[0])


def _has_columns(path: Path) -> bool:
    """Whether a CSV has a column for images and one for texts."""
    names = [name.lower() for name in csv_header(path)]
    return "anno_polygons" not in names and all(
        any(word in names for word in COLUMN_NAMES[key]) for key in ("image", "text")
    )


def read_csv(path: Path, *, columns: Mapping[str, str]) -> list[Line]:
    """A CSV with a header, or a folder with one: `img_id,text` and the like; `--columns image=NAME text=NAME` to say.

    Separated by comma, semicolon or tab. Raises NetchuError naming a column that is missing, with the closest one.
    """
    files = _csv_files(path)
    if len(files) != 1:
        raise NetchuError(f"{path}: " + ("no such CSV" if not files else f"holds {len(files)} CSVs; name one of them"))
    names, rows = read_csv_rows(files[0])
    chosen = {key: find_column(files[0], names, key, columns, usual) for key, usual in COLUMN_NAMES.items()}
    finder = ImageFinder(files[0].parent)
    lines = []
    for number, row in enumerate(rows, 2):
        if not row[chosen["image"]].strip():
            raise NetchuError(f"{files[0]}: row {number} has no {chosen['image']}; correct this row")
        image = finder.find(row[chosen["image"]].strip())
        writer = row[chosen["writer"]].strip() if chosen["writer"] else ""
        lines.append(Line(image, row[chosen["text"]].strip(), writer, source=source_name(path)))
    if not lines:
        raise NetchuError(f"{files[0]}: holds no rows below its header")
    return lines


def _csv_files(path: Path) -> list[Path]:
    """The CSVs that a path may mean."""
    if path.is_dir():
        return [f for f in list_files(path, ".csv") if _has_columns(f)] or list_files(path, ".csv")
    return list_files(path, ".csv", ".tsv")

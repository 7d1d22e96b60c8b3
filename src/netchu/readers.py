"""Readers: a folder in some data set's layout -> manifest lines, without folds yet.

Each reader checks every pair of image and label that it is given and raises NetchuError naming the file and the row.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from netchu.charset import normalise
from netchu.errors import NetchuError
from netchu.manifest import Line

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def find_images(folder: Path) -> list[Path]:
    """Every image file below a folder, in natural order of their paths; raises NetchuError when there is none."""
    if not folder.is_dir():
        raise NetchuError(f"{folder}: no such folder; give the folder that holds the images")
    found = [p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    if not found:
        raise NetchuError(f"{folder}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(found, key=lambda p: natural_key(p.relative_to(folder).as_posix()))


def natural_key(text: str) -> list[tuple[bool, int, str]]:
    """Sort key in which 2/10.jpg comes after 2/9.jpg."""
    parts: list[tuple[bool, int, str]] = []
    digits = ""
    for character in text + "\0":
        if character.isdecimal():
            digits += character
            continue
        if digits:
            parts.append((False, int(digits), ""))
            digits = ""
        parts.append((True, 0, character))
    return parts


def read_table(path: Path, columns: int = 2) -> list[list[str]]:
    """Rows of a UTF-8 file of tab-separated columns, blank lines skipped; the last column is the label, made NFC.

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
        rows.append([row[0].strip(), normalise(row[1]).strip(), *(cell.strip() for cell in row[2:])])
    if not rows:
        raise NetchuError(f"{path}: holds no rows; expected image, tab, text")
    return rows


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


def read_kalapa(folder: Path) -> list[Line]:
    """Kalapa 2023: `annotations/<writer>.txt` with `<writer>/<n>.jpg<TAB>text`, beside `images/<writer>/<n>.jpg`.

    `folder` is the one that holds both, or its parent with `training_data` inside.
    """
    root = folder / "training_data" if (folder / "training_data").is_dir() else folder
    files = sorted((root / "annotations").glob("*.txt"), key=lambda p: natural_key(p.name))
    if not files:
        raise NetchuError(f"{root}: no annotations/*.txt; expected the Kalapa layout with images/ and annotations/")
    lines = []
    for file in files:
        for name, text, *_ in read_table(file):
            lines.append(_line(root / "images" / name, text, Path(name).parent.as_posix(), "kalapa", file))
    return lines


def read_labels_json(folder: Path) -> list[Line]:
    """Cinnamon 2018: `labels.json` that maps image names to texts, images in `images/` or beside it."""
    path = folder / "labels.json"
    try:
        labels = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise NetchuError(f"{path}:{error.lineno}: is not JSON ({error.msg}); correct this row") from None
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise NetchuError(f"{path}: expected one object that maps image names to texts")
    root = folder / "images" if (folder / "images").is_dir() else folder
    source = (
        folder.resolve().parent.name
        if folder.resolve().name in ("train", "training", "data")
        else folder.resolve().name
    )
    return [
        _line(root / name, text, "", source, path)
        for name, text in sorted(labels.items(), key=lambda kv: natural_key(kv[0]))
    ]


def read_labels_tsv(folder: Path) -> list[Line]:
    """A folder with `labels.tsv`: image path, tab, text, and perhaps a tab and the writer."""
    path = folder / "labels.tsv"
    source = folder.resolve().name
    return [
        _line(folder / image, text, writer[0] if writer else "", source, path)
        for image, text, *writer in read_table(path)
    ]


def read_synthetic(folder: Path) -> list[Line]:
    """Made lines: the same layout, marked with the folder's name as `aug`, so that they are only trained on."""
    return [replace(line, aug=line.source) for line in read_labels_tsv(folder)]


def _line(image: Path, text: str, writer: str, source: str, labels: Path) -> Line:
    if not image.is_file():
        raise NetchuError(f"{labels}: names {image}, which is missing; add the image or remove the row")
    return Line(path=image, text=normalise(text).strip(), writer_id=writer, source=source)


READERS: dict[str, Callable[[Path], list[Line]]] = {
    "kalapa": read_kalapa,
    "labels-json": read_labels_json,
    "labels-tsv": read_labels_tsv,
    "synthetic": read_synthetic,
}

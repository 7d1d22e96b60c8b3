"""Readers of JSON lines: Hugging Face's metadata, and a model's own answers as labels (pseudo-labels).

Source of the latter: Lee 2013, "Pseudo-Label: the simple and efficient semi-supervised learning method". Rules of
competitions differ on whether test images may be used so; nothing does it unasked.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from netchu.core.errors import NetchuError
from netchu.core.image_files import list_files
from netchu.core.tables import read_text
from netchu.data.label_files import ImageFinder, source_name, writer_of
from netchu.data.manifest import ANSWERS, Line

METADATA, DETAILS = "metadata.jsonl", "details.jsonl"
TYPES: dict[str, tuple[type, ...]] = {"id": (str,), "text": (str,), "accept": (bool, NoneType)}


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file that are not blank, with their numbers; a row that is no JSON object is an empty one."""
    for number, row in enumerate(read_text(path).split("\n"), 1):
        if row.strip():
            try:
                about = json.loads(row)
            except ValueError:
                about = None
            yield number, about if isinstance(about, dict) else {}


def metadata_files(path: Path) -> list[Path]:
    """The `metadata.jsonl` of images that a path is or has."""
    return [file for file in list_files(path, ".jsonl") if file.name == METADATA]


def read_metadata(path: Path) -> list[Line]:
    """Hugging Face imagefolder: `metadata.jsonl` with `file_name`, `text` and perhaps `writer_id`, or its folder."""
    files = metadata_files(path)
    if not files:
        raise NetchuError(f"{path}: no such file as {METADATA}")
    finder, lines = ImageFinder(files[0].parent), []
    for number, about in _read_rows(files[0]):
        texts = (about.get(key) for key in ("text", "label", "transcription"))
        text = next((text for text in texts if isinstance(text, str)), None)
        if text is None or not isinstance(about.get("file_name"), str):
            raise NetchuError(f"{files[0]}:{number}: has no file_name and text; correct this row")
        lines.append(Line(finder.find(about["file_name"]), text, writer_of(about), source=source_name(path)))
    if not lines:
        raise NetchuError(f"{files[0]}: holds no rows")
    return lines


def is_answers(path: Path) -> bool:
    """Whether a folder holds details.jsonl, or a file is one."""
    return _details(path).is_file() and _details(path).suffix == ".jsonl" and path.name != METADATA


def read_answers(path: Path) -> list[Line]:
    """A model's answers (`infer.py --details DIR/details.jsonl`): lines that it was sure of, only trained on.

    Images are those below the file's folder. Taken are the lines with `accept`, whose confidence reached the level at
    which 99 % of held-out lines were exact, and a text. Raises NetchuError for a row that is no answer, or none taken.
    """
    file = _details(path)
    lines = []
    for number, answer in _read_rows(file):
        if not all(isinstance(answer.get(key, ...), types) for key, types in TYPES.items()):
            raise NetchuError(f"{file}: row {number} is no answer with id, text and accept; write it with infer.py")
        if answer["accept"] and answer["text"]:
            image = file.parent / answer["id"]
            lines.append(Line(image, answer["text"], image.parent.name, source=source_name(path), aug=ANSWERS))
    if not lines:
        raise NetchuError(f"{file}: no answer is marked accept; read with --ensemble, whose recipe knows the level")
    return lines


def _details(path: Path) -> Path:
    """The file of a path that may be its folder."""
    return path / DETAILS if path.is_dir() else path

"""A model's own answers as labels (pseudo-labels), as `infer.py --details DIR/details.jsonl` wrote them.

Source: Lee 2013, "Pseudo-Label: the simple and efficient semi-supervised learning method". Rules of competitions differ
on whether test images may be used so; nothing does it unasked.
"""

import json
from pathlib import Path
from types import NoneType

from netchu.core.errors import NetchuError
from netchu.core.tables import read_text
from netchu.data.label_files import source_name
from netchu.data.manifest import Line

DETAILS = "details.jsonl"
TYPES: dict[str, tuple[type, ...]] = {"id": (str,), "text": (str,), "accept": (bool, NoneType)}


def is_answers(path: Path) -> bool:
    """Whether a folder holds details.jsonl, or a file is one."""
    return _file(path).is_file() and _file(path).suffix == ".jsonl" and path.name != "metadata.jsonl"


def read_answers(path: Path) -> list[Line]:
    """A model's answers (`infer.py --details DIR/details.jsonl`): lines that it was sure of, only trained on.

    Images are those below the file's folder. Taken are the lines with `accept`, whose confidence reached the level at
    which 99 % of held-out lines were exact, and a text. Raises NetchuError for a row that is no answer, or none taken.
    """
    file = _file(path)
    lines = []
    for number, row in enumerate(read_text(file).splitlines(), 1):
        try:
            answer = json.loads(row)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not all(isinstance(answer.get(k, ...), t) for k, t in TYPES.items()):
            raise NetchuError(f"{file}: row {number} is no answer with id, text and accept; write it with infer.py")
        if answer["accept"] and answer["text"]:
            image = file.parent / answer["id"]
            lines.append(Line(image, answer["text"], image.parent.name, source=source_name(path), aug="answers"))
    if not lines:
        raise NetchuError(f"{file}: no answer is marked accept; read with --ensemble, whose recipe knows the level")
    return lines


def _file(path: Path) -> Path:
    """The file of a path that may be its folder."""
    return path / DETAILS if path.is_dir() else path

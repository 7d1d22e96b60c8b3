"""Reads a folder of fonts and says which faces can write every Vietnamese letter.

`REQUIRED` holds every character that a face must have: the letters with their tones in both cases, the Latin
letters that only abbreviations use, digits, and the punctuation of an address.
"""

import itertools
import logging
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError

from netchu.core.charset import TONES, normalise
from netchu.core.errors import NetchuError

PACKAGED = Path(__file__).resolve().parents[3] / "synthetic_data" / "fonts"  # of the repository
SUFFIXES = (".ttf", ".otf")
VOWELS = "aăâeêioôơuưy"
CONSONANTS = "bcdđghklmnpqrstvxfjwz"
PUNCTUATION = "',./-() "

_LETTERS = [normalise(v + t) for v, t in itertools.product(VOWELS, ("", *TONES))] + list(CONSONANTS)
REQUIRED = "".join(sorted({*_LETTERS, *(letter.upper() for letter in _LETTERS), *"0123456789", *PUNCTUATION}))

log = logging.getLogger(__name__)


def font_name(path: Path) -> str:
    """The face's name inside a writer identity: its file stem in lower case, letters and digits only."""
    return "".join(char for char in path.stem.lower() if char.isalnum())


def known_characters(path: Path) -> frozenset[int]:
    """The code points that the face at `path` can write. Raises NetchuError if it is no font."""
    try:
        with TTFont(path, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (TTLibError, OSError, AssertionError) as error:
        raise NetchuError(f"{path}: cannot be read as a font ({error}); remove it or replace it") from error


def find_fonts(folder: Path | None = None) -> list[Path]:
    """The complete faces of `folder`, sorted by name; a face with gaps is named in the log and left out.

    Raises NetchuError when the folder is missing, or holds no complete face, or two faces share a name.
    """
    folder = folder or PACKAGED
    if not folder.is_dir():
        raise NetchuError(f"{folder}: no such folder of fonts; give one with .ttf or .otf files")
    complete: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        known = known_characters(path)
        if gaps := "".join(char for char in REQUIRED if ord(char) not in known):
            log.warning("%s: left out, it lacks %d characters: %s", path.name, len(gaps), gaps[:40])
            continue
        if (name := font_name(path)) in complete:
            raise NetchuError(f"{path}: has the same name as {complete[name].name}; rename one of them")
        complete[name] = path
    if not complete:
        raise NetchuError(f"{folder}: no face covers Vietnamese; put a .ttf or .otf with all its letters there")
    return list(complete.values())


def choose_faces(paths: list[Path], names: str) -> list[Path]:
    """The faces whose font names stand in the comma-separated `names`; all of them when it is empty.

    Raises NetchuError for a name that no face has.
    """
    wanted = [name.strip().lower() for name in names.split(",") if name.strip()]
    known = {font_name(path): path for path in paths}
    for name in wanted:
        if name not in known:
            raise NetchuError(f"--faces {name}: no such face; there are: {', '.join(known)}")
    return [known[name] for name in wanted] or paths

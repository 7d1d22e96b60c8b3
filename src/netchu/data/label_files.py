"""Label files and the images that they name: what every reader shares.

Texts come back as they stand in the file; `layouts.LayoutReader` makes them plain labels.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError, closest
from netchu.core.image_files import IMAGE_SUFFIXES, AlikeFinder, is_image_name, name_key, walk
from netchu.core.tables import read_text

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts it before the names of uploaded files
SPLIT_NAMES = frozenset({"train", "training", "data", "images", "test", "val", "lines"})


class ImageFinder:
    """Finds the images that a label file names, whatever folders stand before the name in the file or on the disk."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots
        self._given: dict[Path, Path] = {}  # image -> the name that it was given for
        self._alike = AlikeFinder()

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in dict.fromkeys(path for root in self.roots for path in walk(root)):
            if is_image_name(path) and path.is_file():
                found[name_key(path.name)].append(path)
                found[f"{name_key(path.stem)}.*"].append(path)
                found[f"{upload_name(path.name)}/"].append(path)
        return found

    @cached_property
    def _folders(self) -> set[str]:
        return {path.parent.name for paths in self._by_name.values() for path in paths}

    def find(self, name: str) -> Path:
        """The image of that name: as the path says, else the one whose path ends most alike, without regard to case,
        to the composition of letters, to a suffix where the name has none, and to what an upload changes.

        Returns the path as it was said when there is none; 8/5.jpg does not stand for 7/5.jpg where a folder 7 is.
        Raises NetchuError when two fit equally well, or when the one that fits was found for another name before.
        """
        wanted = Path(name.replace("\\", "/"))
        for root in self.roots:
            if path := self._alike.find(root / wanted):
                return self._give(path, wanted)
        keys = [name_key(wanted.name), f"{upload_name(UPLOAD_PREFIX.sub('', wanted.name))}/"]
        keys += [] if is_image_name(wanted) else [f"{name_key(wanted.name)}.*"]
        fitting = next((self._by_name[key] for key in keys if key in self._by_name), ())
        likeness = {path: _common_end(path, wanted) for path in fitting}
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
        if name_key(a) != name_key(b) and count:
            break
        count += 1
    return count


def upload_name(name: str) -> str:
    """What is left of a name when Label Studio uploads it: spaces and brackets are changed or dropped."""
    stem, dot, suffix = name.rpartition(".")
    return re.sub(r"[\W_]+", "", name_key(stem)) + dot + suffix.lower()


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


def writer_of(about: Mapping[str, Any]) -> str:
    """The writer that a task, sidecar or row names; nothing where it is null."""
    writer = about.get("writer_id", about.get("writer"))
    return "" if writer is None else str(writer)


def has_any(*names: str) -> Callable[[Path], bool]:
    """Whether a folder holds one of these files or folders, as a function of its path."""
    return lambda path: any((path / name).exists() for name in names)


def has_image_beside(path: Path, suffix: str) -> bool:
    """Whether some file below a folder with this suffix, no `labels.json`, has an image of the same name beside it."""
    files = (file for file in walk(path) if file.suffix.lower() == suffix and file.name != "labels.json")
    stems = ((file, file.stem.removesuffix(".gt")) for file in files)
    return any(file.with_name(stem + end).is_file() for file, stem in stems for end in IMAGE_SUFFIXES)


def find_column(path: Path, names: Sequence[str], key: str, told: Mapping[str, str], usual: Sequence[str]) -> str:
    """The column of a table that holds `key` (image, text, writer): as `told`, else by its `usual` names, the likeliest
    first; "" for a writer that is not there. Raises NetchuError for one that is missing or cannot be told."""
    if key in told:
        if told[key] in names:
            return told[key]
        hint = closest(told[key], names) or f"; it has: {', '.join(names)}"
        raise NetchuError(f"{path}: no column {told[key]!r}{hint}")
    lower = {name.lower(): name for name in reversed(names)}
    found = next((lower[word.lower()] for word in usual if word.lower() in lower), "")
    if not found and key != "writer":
        raise NetchuError(f"{path}: which column is the {key}? It has {', '.join(names)}; say --columns {key}=NAME")
    return found

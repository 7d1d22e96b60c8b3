"""Image files of a folder, in their natural order, and files by names that differ in case or composition alone."""

import os
import re
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

from netchu.core.errors import NetchuError

IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".heic", ".heif", ".avif",
    ".jp2", ".pbm", ".pgm", ".ppm",
})  # fmt: skip
FOREIGN = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})  # left by operating systems
BESIDE = frozenset(
    {".txt", ".tsv", ".csv", ".json", ".jsonl", ".xml", ".md", ".html", ".yaml", ".parquet", ".lmdb", ".mdb", ".log"}
)
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"II*\0", b"MM\0*", b"GIF8")  # of image files of any name


def is_foreign(path: Path) -> bool:
    """Whether a file or folder belongs to no data set: hidden, or left behind by an operating system or an editor."""
    return path.name.startswith((".", "~$")) or path.name.lower() in FOREIGN


def walk(folder: Path, inside: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Every file below a folder but the foreign ones (see `is_foreign`), also through links to folders, unless these
    lead back into one that they stand in (`inside`). A link whose file is gone counts: whoever opens it says so. Raises
    NetchuError for a name that is not UTF-8."""
    inside |= {folder.resolve()}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not is_foreign(path):
            check_name(path)
            if path.is_dir():
                if path.resolve() not in inside:
                    yield from walk(path, inside)
            elif path.is_file() or path.is_symlink():
                yield path


def check_name(path: Path) -> None:
    """Raise NetchuError for a path that is not UTF-8, as old archives leave them: no answer could name it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise NetchuError(f"{str(path)!r}: its name is not UTF-8; rename it (convmv does so for many files)") from None


def list_files(path: Path, *suffixes: str) -> list[Path]:
    """The files of a folder with one of the suffixes in any case, or the file that is named itself if it has one."""
    found = [path] if path.is_file() else [] if not path.is_dir() else [p for p in path.iterdir() if not is_foreign(p)]
    return sorted(file for file in found if file.suffix.lower() in suffixes and file.is_file())


def is_image_name(name: str | Path) -> bool:
    """Whether a name ends like that of an image file."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def find_images(folder: Path) -> list[Path]:
    """Every image file below a folder, in natural order of their paths, or the one file that is named instead of a
    folder; raises NetchuError when there is none. Images of other names are known by how they begin; a warning counts
    what is neither an image nor a label file."""
    if folder.is_file():
        check_name(folder)
        return [folder]
    if not folder.is_dir():
        raise NetchuError(f"{folder}: no such folder; give the folder that holds the images")
    found, others = [], []
    for path in walk(folder):
        if is_image_name(path) or (path.suffix.lower() not in BESIDE and _begins_like_an_image(path)):
            found.append(path)
        elif path.suffix.lower() not in BESIDE:
            others.append(path)
    if others:
        warnings.warn(f"{folder}: {len(others)} files are no images and left out, the first {others[0]}", stacklevel=2)
    if not found:
        raise NetchuError(f"{folder}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(found, key=lambda p: natural_key(p.relative_to(folder).as_posix()))


def _begins_like_an_image(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return False
    return start.startswith(STARTS) or start[8:] == b"WEBP" or start[4:] in (b"ftypheic", b"ftypavif", b"ftypmif1")


def name_key(name: str) -> str:
    """What two names have in common that differ in case or in the composition of Vietnamese letters alone."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_file(path: Path) -> bool:
    """Whether a path is a file; a text that cannot be a path at all is none."""
    return os.path.isfile(path)  # noqa: PTH113  # of such a text pathlib raises an error


class AlikeFinder:
    """Files by their names, exactly or else without regard to case and composition; folders are listed once."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, list[Path]]] = {}

    def find(self, path: Path) -> Path | None:
        """The file of that path, else the only one whose path differs in case or composition, or lacks the suffix of an
        image; None when none fits or several do."""
        if is_file(path):
            return path
        if path.parent == path:
            return None
        folder = self._folder(path.parent)
        if folder is None:
            return None
        names = self._list(folder)
        found = [p for p in names.get(name_key(path.name), []) if is_file(p)]
        if not found and not is_image_name(path):
            found = [p for p in names.get(f"{name_key(path.name)}.*", []) if is_file(p)]
        return found[0] if len(found) == 1 else None

    def _folder(self, path: Path) -> Path | None:
        if os.path.isdir(path):  # noqa: PTH112
            return path
        above = self._folder(path.parent) if path.parent != path else None
        found = [p for p in self._list(above).get(name_key(path.name), []) if p.is_dir()] if above else []
        return found[0] if len(found) == 1 else None

    def _list(self, folder: Path) -> dict[str, list[Path]]:
        """Paths of a folder by their key, and images by that of their name without its suffix and `.*`."""
        if folder not in self._listed:
            names: dict[str, list[Path]] = {}
            for path in folder.iterdir():
                names.setdefault(name_key(path.name), []).append(path)
                if is_image_name(path):
                    names.setdefault(f"{name_key(path.stem)}.*", []).append(path)
            self._listed[folder] = names
        return self._listed[folder]


def natural_key(text: str) -> list[tuple[bool, int, str]]:
    """Sort key in which 2/10.jpg comes after 2/9.jpg."""
    parts = re.findall(r"\d+|\D", text + "\0")
    return [(False, int(part), "") if part.isdecimal() else (True, 0, part) for part in parts]

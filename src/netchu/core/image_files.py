"""Image files of a folder, in their natural order."""

from pathlib import Path

from netchu.core.errors import NetchuError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def find_images(folder: Path) -> list[Path]:
    """Every image file below a folder, in natural order of their paths, or the one file that is named instead of a
    folder; raises NetchuError when there is none."""
    if folder.is_file():
        return [folder]
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

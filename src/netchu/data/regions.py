"""Readers of transcribed pages and pairs: ALTO, PAGE XML, images with a text file each, Hugging Face metadata.jsonl."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder
from netchu.core.image_files import IMAGE_SUFFIXES, find_images, list_files, walk
from netchu.core.images import Image, read_image
from netchu.core.tables import read_text
from netchu.data.label_files import ImageFinder, source_name
from netchu.data.manifest import Line
from netchu.data.mcocr import JPEG_QUALITY, cut_polygon
from netchu.data.store import unpacking_folder

METADATA = "metadata.jsonl"
Region = tuple[NDArray[np.float32], str]  # corners (n, 2) x, y in pixels; text


def cut_regions(pages: Iterable[tuple[Path, str, Sequence[Region]]], folder: Path, source: str) -> list[Line]:
    """Write every region of (page image, writer, regions) as one line image of `folder`, all or none."""
    lines = []
    with atomic_folder(folder) as temporary:
        for path, writer, regions in pages:
            page = read_image(path, page=True)
            for number, (corners, text) in enumerate(regions):
                name = f"{path.stem}_{number:03d}.jpg"
                _, data = cv2.imencode(".jpg", cut_region(page, corners), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                (temporary / name).write_bytes(data.tobytes())
                lines.append(Line(folder / name, text, writer, source=source))
        if not lines:
            raise NetchuError(f"{folder.name}: its source holds no lines")
    return lines


def cut_region(page: Image, corners: NDArray[np.float32]) -> Image:
    """A polygon's line, drawn upright: four corners as they are, else the smallest upright box around them."""
    if len(corners) == 4:
        return cut_polygon(page, corners)
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return cut_polygon(page, [(left, top), (right, top), (right, bottom), (left, bottom)])


def is_page_xml(path: Path) -> bool:
    """Whether an XML file, or one of a folder, is ALTO or PAGE."""
    return any(_is_page(file) for file in list_files(path, ".xml"))


def read_page_xml(path: Path, *, images: Path) -> list[Line]:
    """ALTO and PAGE XML (eScriptorium, Transkribus): a file or a folder of them; each line is cut out of its page.

    The image that a file names lies beside it or below its folder. A page stands for a writer. Lines without a text are
    left out. Raises NetchuError for a file that is damaged or declares entities.
    """
    files = [file for file in list_files(path, ".xml") if _is_page(file)]
    if not files:
        raise NetchuError(f"{path}: no such file of ALTO or PAGE XML")
    finder = ImageFinder(files[0].parent)
    pages = []
    for file in files:
        root = _parse(file)
        named = [e.get("imageFilename") or e.text for e in root.iter() if _tag(e) in ("Page", "fileName")]
        image = finder.find(next((name.strip() for name in named if name and name.strip()), f"{file.stem}.png"))
        regions = [(corners, text) for line in root.iter() if _tag(line) == "TextLine"
                   if (text := _text(line)) and len(corners := _corners(line, file)) >= 3]  # fmt: skip
        pages.append((image, image.stem, regions))
    return cut_regions(pages, unpacking_folder(images, files[0]), source_name(path))


def _is_page(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(4096).lower()
    return b"<alto" in start or b"pcgts" in start


def _parse(path: Path) -> ElementTree.Element:
    """Root of an XML file without entities of its own."""
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise NetchuError(f"{path}: declares a document type or entities, which are not read; save it without")
    try:
        return ElementTree.fromstring(text.encode() if "encoding=" not in text[:200] else path.read_bytes())
    except ElementTree.ParseError as error:
        raise NetchuError(f"{path}: is not XML ({error}); save it again") from None


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(line: ElementTree.Element) -> str:
    """Text of a line: PAGE's own TextEquiv, or ALTO's strings."""
    for child in line:
        if _tag(child) == "TextEquiv":
            return next((e.text or "" for e in child.iter() if _tag(e) == "Unicode"), "").strip()
    return " ".join(e.get("CONTENT", "") for e in line.iter() if _tag(e) == "String").strip()


def _corners(line: ElementTree.Element, path: Path) -> NDArray[np.float32]:
    """Polygon of a line (n, 2): Coords, Shape, or ALTO's box."""
    points = next(
        (e.get("points") or e.get("POINTS") or "" for e in line.iter() if _tag(e) in ("Coords", "Polygon")), ""
    )
    try:
        flat = [float(number) for number in points.replace(",", " ").split()]
        if not flat and line.get("HPOS") is not None:
            x, y, w, h = (float(line.get(key, "0")) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
            flat = [x, y, x + w, y, x + w, y + h, x, y + h]
        return np.array(flat, dtype=np.float32).reshape(-1, 2)
    except ValueError:
        raise NetchuError(
            f"{path}: line {line.get('id') or line.get('ID')} has a polygon of no pairs of numbers"
        ) from None


def is_pairs(path: Path) -> bool:
    """Whether some image of a folder has a text file of the same name beside it."""
    return path.is_dir() and any(_image_beside(file) for file in walk(path) if file.suffix.lower() == ".txt")


def _image_beside(path: Path) -> bool:
    stem = path.name[:-4].removesuffix(".gt")
    return any(path.with_name(stem + suffix).is_file() for suffix in IMAGE_SUFFIXES)


def read_pairs(folder: Path) -> list[Line]:
    """kraken, Calamari, OCRopus, tesstrain: images with a text file each, `0.png` and `0.gt.txt` or `0.txt`.

    Images without a text file are left out. Raises NetchuError for a text of several lines.
    """
    lines = []
    for image in find_images(folder):
        stem = image.name.removesuffix(image.suffix)
        beside = [image.with_name(stem + end) for end in (".gt.txt", ".txt")]
        file = next((file for file in beside if file.is_file()), None)
        if file is not None:
            text = read_text(file).strip()
            if "\n" in text:
                raise NetchuError(f"{file}: holds {text.count(chr(10)) + 1} lines; expected the one of its image")
            lines.append(Line(image, text, source=source_name(folder)))
    if not lines:
        raise NetchuError(f"{folder}: holds no images with a text file of the same name")
    return lines


def is_metadata(path: Path) -> bool:
    """Whether a folder has a `metadata.jsonl` of images, or a path is one."""
    return any(file.name == METADATA for file in list_files(path, ".jsonl"))


def read_metadata(path: Path) -> list[Line]:
    """Hugging Face imagefolder: `metadata.jsonl` with `file_name`, `text` and perhaps `writer_id`, or its folder."""
    files = [file for file in list_files(path, ".jsonl") if file.name == METADATA]
    if not files:
        raise NetchuError(f"{path}: no such file as {METADATA}")
    finder, lines = ImageFinder(files[0].parent), []
    for number, row in enumerate(read_text(files[0]).split("\n"), 1):
        if not row.strip():
            continue
        try:
            about = json.loads(row)
        except ValueError:
            about = None
        texts = [about.get(key) for key in ("text", "label", "transcription")] if isinstance(about, dict) else []
        text = next((text for text in texts if isinstance(text, str)), None)
        if about is None or text is None or not isinstance(about.get("file_name"), str):
            raise NetchuError(f"{files[0]}:{number}: has no file_name and text; correct this row")
        writer = about.get("writer_id", about.get("writer"))
        image = finder.find(about["file_name"])
        lines.append(Line(image, text, "" if writer is None else str(writer), source=source_name(path)))
    if not lines:
        raise NetchuError(f"{files[0]}: holds no rows")
    return lines

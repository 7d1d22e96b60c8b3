"""Readers of transcribed pages and pairs: ALTO, PAGE XML, images with a text file each."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.image_files import find_images, list_files
from netchu.core.tables import read_text
from netchu.data.cutting import Corners, Page, cut_regions, line_corners
from netchu.data.label_files import ImageFinder, source_name
from netchu.data.manifest import Line


def page_files(path: Path) -> list[Path]:
    """The files of ALTO or PAGE XML that a path may mean: itself, or those of the folder."""
    return [file for file in list_files(path, ".xml") if _is_page(file)]


def read_page_xml(path: Path, *, images: Path) -> list[Line]:
    """ALTO and PAGE XML (eScriptorium, Transkribus): a file or a folder of them; each line is cut out of its page.

    A line is cut along its baseline where it has one, see `line_corners`. The image that a file names lies beside it or
    below its folder. A page stands for a writer. Lines without a text or a polygon are left out. Raises NetchuError for
    a file that is damaged or declares entities.
    """
    files = page_files(path)
    if not files:
        raise NetchuError(f"{path}: no such file of ALTO or PAGE XML")
    return cut_regions(_pages(files), files[0], images, source_name(path))


def _pages(files: list[Path]) -> Iterator[Page]:
    finder = ImageFinder(files[0].parent)
    for file in files:
        root = _parse(file)
        named = [e.get("imageFilename") or e.text for e in root.iter() if _tag(e) in ("Page", "fileName")]
        image = finder.find(next((name.strip() for name in named if name and name.strip()), f"{file.stem}.png"))
        lines = [(line, _text(line)) for line in root.iter() if _tag(line) == "TextLine"]
        regions = [(corners, text) for line, text in lines if text and (corners := _corners(line, file)) is not None]
        sides = [e.get(f"image{k.capitalize()}") or e.get(k) or "" for e in root.iter() if _tag(e) == "Page"
                 for k in ("HEIGHT", "WIDTH")]  # fmt: skip
        frame = (int(sides[0]), int(sides[1])) if all(side.isdecimal() for side in sides[:2]) and sides else None
        yield image, frame, image.stem, regions


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


def _corners(line: ElementTree.Element, path: Path) -> Corners | None:
    """Corners of a line: along its baseline within its Coords, Shape or ALTO's box; None where it has none."""
    where = f"{path}: line {line.get('id') or line.get('ID')}"
    shapes = {_tag(e): e.get("points") or e.get("POINTS") or "" for e in line if _tag(e) in ("Coords", "Baseline")}
    outline = shapes.get("Coords") or next((e.get("POINTS", "") for e in line.iter() if _tag(e) == "Polygon"), "")
    if not outline and line.get("HPOS") is not None:
        try:
            x, y, w, h = (float(line.get(key, "0")) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
        except ValueError:
            raise NetchuError(f"{where} has a box of no numbers; correct or remove it") from None
        outline = f"{x} {y} {x + w} {y} {x + w} {y + h} {x} {y + h}"
    baseline = _points(shapes.get("Baseline") or line.get("BASELINE") or "", where)
    return line_corners(_points(outline, where), where, baseline) if outline else None


def _points(text: str, where: str) -> NDArray[np.float32]:
    """Points (n, 2) of `x,y x,y`; ALTO writes spaces alone, and a baseline of older versions is one number."""
    try:
        flat = [float(number) for number in text.replace(",", " ").split()]
        return np.array(flat if len(flat) > 1 else [], dtype=np.float32).reshape(-1, 2)
    except ValueError:
        raise NetchuError(f"{where} has a polygon of no pairs of numbers; correct or remove it") from None


def read_pairs(folder: Path) -> list[Line]:
    """kraken, Calamari, OCRopus, tesstrain: images with a text file each, `0.png` and `0.gt.txt` or `0.txt`.

    Images without a text file are left out. Raises NetchuError for a text of several lines.
    """
    lines = []
    for image in find_images(folder):
        beside = [image.with_name(image.stem + end) for end in (".gt.txt", ".txt")]
        file = next((file for file in beside if file.is_file()), None)
        if file is not None:
            text = read_text(file).strip()
            if "\n" in text:
                raise NetchuError(f"{file}: holds {text.count(chr(10)) + 1} lines; expected the one of its image")
            lines.append(Line(image, text, source=source_name(folder)))
    if not lines:
        raise NetchuError(f"{folder}: holds no images with a text file of the same name")
    return lines

"""A read page as ALTO XML, version 4, which kraken and eScriptorium open: one document for one photograph.

https://www.loc.gov/standards/alto. Positions are pixels of the photograph.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from netchu.reading.pages import ReadLine

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-2.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
BASELINE = 0.75  # share of a line's height above its baseline, which the detector does not give


def write_alto(page: str, size: tuple[int, int], lines: Sequence[ReadLine]) -> str:
    """The document of a page.

    `page`: name of its image file, `size`: its (width, height), `lines` in reading order. Every line is a TextLine with
    its polygon and one String: the text (CONTENT) and how sure the reader is (WC). The baseline is an estimate. No
    point is outside of the photograph: kraken refuses such a line.
    """
    width, height = size
    whole = (0, 0, width, height)
    boxes = np.array([line.box for line in lines] or [whole])
    around = [*boxes.min(axis=0)[:2].tolist(), *boxes.max(axis=0)[2:].tolist()]
    root = ElementTree.Element(
        "alto", {"xmlns": NAMESPACE, "xmlns:xsi": XSI, "xsi:schemaLocation": f"{NAMESPACE} {SCHEMA}"}
    )
    about = ElementTree.SubElement(root, "Description")
    ElementTree.SubElement(about, "MeasurementUnit").text = "pixel"
    ElementTree.SubElement(ElementTree.SubElement(about, "sourceImageInformation"), "fileName").text = page
    layout = ElementTree.SubElement(root, "Layout")
    sheet = ElementTree.SubElement(
        layout, "Page", {"ID": "page", "PHYSICAL_IMG_NR": "1", "WIDTH": str(width), "HEIGHT": str(height)}
    )
    space = ElementTree.SubElement(sheet, "PrintSpace", _position(whole))
    block = ElementTree.SubElement(space, "TextBlock", {"ID": "block", **_position(around)})
    for number, line in enumerate(lines):
        left, right = (line.corners[i] + BASELINE * (line.corners[3 - i] - line.corners[i]) for i in (0, 1))
        place = _position(line.box)
        element = ElementTree.SubElement(
            block, "TextLine", {"ID": f"line_{number}", "BASELINE": _points([left, right], size), **place}
        )
        polygon = {"POINTS": _points(line.corners, size)}
        ElementTree.SubElement(ElementTree.SubElement(element, "Shape"), "Polygon", polygon)
        text = {"ID": f"text_{number}", "CONTENT": line.text, "WC": f"{line.confidence:.4f}"}
        ElementTree.SubElement(element, "String", {**text, **place})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _position(box: Sequence[int]) -> dict[str, str]:
    x0, y0, x1, y1 = box
    return {"HPOS": str(x0), "VPOS": str(y0), "WIDTH": str(x1 - x0), "HEIGHT": str(y1 - y0)}


def _points(points: Iterable[NDArray[np.float64]], size: tuple[int, int]) -> str:
    """Points as the attributes hold them, each moved to the nearest pixel of an image (width, height)."""
    whole = np.rint(np.array(list(points))).astype(int).clip(0, np.array(size) - 1)
    return " ".join(f"{x},{y}" for x, y in whole)

"""ALTO XML of a read page: what kraken and eScriptorium look for is there."""

from xml.etree import ElementTree

import numpy as np

from netchu.ctc.decoders import Reading
from netchu.reading.alto import NAMESPACE, write_alto
from netchu.reading.pages import ReadLine

NAMES = {"alto": NAMESPACE}


def line(x: int, y: int, text: str) -> ReadLine:
    corners = np.array([(x, y), (x + 200, y + 4), (x + 199, y + 44), (x - 1, y + 40)], dtype=float)
    return ReadLine((x - 1, y, x + 200, y + 44), corners, np.zeros((40, 200), np.uint8), Reading(text, 0.75))


def test_lines_have_their_place_text_and_confidence() -> None:
    document = write_alto("trang 1.jpg", (800, 600), [line(50, 20, 'Số 5 & "Ngõ" <7>'), line(60, 90, "")])
    root = ElementTree.fromstring(document.encode())
    assert root.tag == f"{{{NAMESPACE}}}alto"
    assert root.findtext(".//alto:sourceImageInformation/alto:fileName", namespaces=NAMES) == "trang 1.jpg"
    assert root.findtext(".//alto:MeasurementUnit", namespaces=NAMES) == "pixel"
    page = root.find("alto:Layout/alto:Page", NAMES)
    assert page is not None and (page.get("WIDTH"), page.get("HEIGHT")) == ("800", "600")
    block = page.find("alto:PrintSpace/alto:TextBlock", NAMES)
    assert block is not None and [block.get(k) for k in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == [
        "49",
        "20",
        "211",
        "114",
    ]
    first, second = block.findall("alto:TextLine", NAMES)
    assert [first.get(k) for k in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == ["49", "20", "201", "44"]
    assert first.get("BASELINE") == "49,50 249,54"
    polygon = first.find("alto:Shape/alto:Polygon", NAMES)
    assert polygon is not None and polygon.get("POINTS") == "50,20 250,24 249,64 49,60"
    strings = [element.find("alto:String", NAMES) for element in (first, second)]
    assert [s.get("CONTENT") for s in strings if s is not None] == ['Số 5 & "Ngõ" <7>', ""]
    assert strings[0] is not None and strings[0].get("WC") == "0.7500"
    assert len({element.get("ID") for element in root.iter() if element.get("ID")}) == 6


def test_no_point_is_outside_of_the_photograph() -> None:
    """kraken: "Line polygon outside of image bounds"; the last column of 240 is 239."""
    root = ElementTree.fromstring(write_alto("a.jpg", (240, 60), [line(-3, 30, "Huế"), line(60, -9, "Huế")]).encode())
    texts = [element.get("POINTS", "") for element in root.iterfind(".//alto:Polygon", NAMES)]
    assert texts == ["0,30 197,34 196,59 0,59", "60,0 239,0 239,35 59,31"]
    assert [element.get("BASELINE") for element in root.iterfind(".//alto:TextLine", NAMES)] == [
        "0,59 196,59",
        "59,21 239,25",
    ]


def test_a_page_without_lines_is_a_document_too() -> None:
    root = ElementTree.fromstring(write_alto("a.jpg", (30, 40), []).encode())
    assert root.find(".//alto:TextBlock", NAMES) is not None and root.find(".//alto:TextLine", NAMES) is None

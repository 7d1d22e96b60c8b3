"""Lines of photographed pages are found once and in order: in tables, turned, shaded, on a desk, on their side."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.core.errors import NetchuError
from netchu.ctc.decoders import Reading
from netchu.reading.pages import DETECTOR, Detector, PageLine, find_lines, read_page, upside_down
from tests.support.forms import KINDS, Form, make_form


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two convex quadrilaterals (4, 2)."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    shared = cv2.intersectConvexConvex(a, b)[0]
    return float(shared / (cv2.contourArea(a) + cv2.contourArea(b) - shared))


def assert_found(form: Form, lines: list[PageLine]) -> None:
    """Every line once, nothing else, in reading order, and its box around its corners."""
    assert len(lines) == len(form.texts)
    for line, corners in zip(lines, form.corners, strict=True):
        assert overlap(line.corners, corners) > 0.5
        x0, y0, x1, y1 = line.box
        inside = line.corners.clip(0, np.array(form.photo.shape[::-1]))
        assert np.abs(inside.min(axis=0) - (x0, y0)).max() <= 1 and np.abs(inside.max(axis=0) - (x1, y1)).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("seed", "angle", "shade"), [(1, 0.0, 0.0), (2, 3.3, 0.5), (3, -6.5, 0.6)])
def test_every_line_is_found_once_and_in_order(kind: str, seed: int, angle: float, shade: float) -> None:
    form = make_form(kind, seed, angle=angle, shade=shade, rows=6)
    assert_found(form, find_lines(form.photo))


@pytest.mark.parametrize(("seed", "angle", "margin"), [(1, 0.0, 14), (2, 3.3, 8), (3, -6.5, 4)])
def test_cells_that_are_full_to_the_rule_stay_apart(seed: int, angle: float, margin: int) -> None:
    form = make_form("table", seed, angle=angle, shade=0.5, rows=6, margin=margin, full=True)
    assert_found(form, find_lines(form.photo))


@pytest.mark.parametrize("angle", [0.0, 4.0])
def test_columns_of_running_text_are_read_one_after_the_other(angle: float) -> None:
    form = make_form("columns", 5, angle=angle, rows=6, margin=40, full=True)
    assert_found(form, find_lines(form.photo))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sheet_on_a_desk(kind: str) -> None:
    form = make_form(kind, 4, shade=0.3, rows=5)
    (height, width), rng = form.photo.shape, np.random.default_rng(0)
    sheet = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    seen = sheet + 180 + rng.uniform(-50, 50, (4, 2)).astype(np.float32)
    way = cv2.getPerspectiveTransform(sheet, seen)
    desk = cv2.warpPerspective(form.photo, way, (width + 360, height + 360), borderValue=(55.0,))
    desk = np.clip(desk + rng.normal(0, 3, desk.shape), 0, 255).astype(np.uint8)
    corners = cv2.perspectiveTransform(form.corners.reshape(-1, 1, 2), way).reshape(-1, 4, 2)
    assert_found(Form(desk, form.texts, corners), find_lines(desk))


def test_large_photographs_are_cut_at_their_own_size() -> None:
    form = make_form("ruled", 2, rows=4)
    large = np.asarray(cv2.resize(form.photo, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.uint8)
    lines = find_lines(large)
    assert_found(Form(large, form.texts, form.corners * 2), lines)
    assert min(line.image.shape[0] for line in lines) > 100


def test_a_page_on_its_side_is_turned() -> None:
    form = make_form("table", 1, rows=5)
    upright = find_lines(form.photo)
    sideways = np.ascontiguousarray(np.rot90(form.photo))  # counter-clockwise: turning it clockwise puts it right
    lines = find_lines(sideways)
    assert len(lines) == len(upright)
    for line, other in zip(lines, upright, strict=True):
        assert np.abs(line.image.astype(int) - other.image).mean() < 3
        x, y = line.corners.T
        assert overlap(np.stack([form.photo.shape[1] - y, x], axis=1), other.corners) > 0.9
        assert 0 <= line.box[0] < line.box[2] <= sideways.shape[1] and line.box[3] <= sideways.shape[0]


def test_pages_without_writing_give_no_line() -> None:
    rng = np.random.default_rng(0)
    blank = np.clip(220 + rng.normal(0, 4, (600, 800)), 0, 255).astype(np.uint8)
    assert find_lines(blank) == []
    rules = blank.copy()
    for y in range(100, 600, 100):
        cv2.line(rules, (40, y), (760, y), (90,), 2)
    assert find_lines(rules) == []
    for shape in ((1, 1), (3, 400), (400, 3), (40, 40), (40, 9000), (33, 2400)):
        assert find_lines(np.full(shape, 200, np.uint8)) == []


class InkAtLeft:
    """Stands for a reader: sure of images with more ink in their left half; its text is the image's width."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, images: list[np.ndarray]) -> list[Reading]:
        self.asked += len(images)
        halves = [(image[:, : image.shape[1] // 2].mean(), image[:, image.shape[1] // 2 :].mean()) for image in images]
        texts = [str(image.shape[1]) for image in images]
        return [Reading(text, 0.9 if a < b else 0.1) for text, (a, b) in zip(texts, halves, strict=True)]


def test_a_page_upside_down_is_read_from_the_other_side() -> None:
    page = np.full((700, 900), 230, np.uint8)
    for row, text in enumerate(("TRUNG", "TIEN GIANG", "THANH")):
        cv2.putText(page, "HAI BA", (60, 150 + 150 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20,), 9, cv2.LINE_AA)
        cv2.putText(page, text, (235, 150 + 150 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20,), 1, cv2.LINE_AA)
    reader = InkAtLeft()
    upright = read_page(reader.read, page)
    assert len(upright) == reader.asked == 3 and all(line.confidence == 0.9 for line in upright)
    turned = read_page(InkAtLeft().read, np.ascontiguousarray(np.rot90(page, 2)))
    assert len(turned) == 3 and all(line.confidence == 0.9 for line in turned)
    for line, other in zip(turned, upright, strict=True):
        assert overlap(np.array([900, 700]) - line.corners, other.corners) > 0.8
        assert line.text == str(line.image.shape[1])
    assert read_page(reader.read, np.full((300, 300), 230, np.uint8)) == []


def test_a_page_that_is_doubtful_from_both_sides_stays_as_it_is() -> None:
    class Stranger(InkAtLeft):
        """Has not learnt this writing: a little surer of it upside down."""

        def read(self, images: list[np.ndarray]) -> list[Reading]:
            first = not self.asked
            return [replace(r, confidence=0.1 if first else 0.2) for r in super().read(images)]

    form = make_form("blank", 3, rows=3)
    found = find_lines(form.photo)
    assert [line.corners.tolist() for line in read_page(Stranger().read, form.photo)] == [
        line.corners.tolist() for line in found
    ]


def test_a_line_says_where_it_is_and_what_it_reads() -> None:
    form = make_form("blank", 3, rows=3)
    line = read_page(InkAtLeft().read, form.photo)[1]
    about = line.to_dict("page.jpg")
    assert list(about) == ["page", "box", "corners", "text", "confidence"]
    assert about["page"] == "page.jpg" and about["text"] == line.text and np.shape(about["corners"]) == (4, 2)
    again = upside_down(upside_down(line))
    assert (again.image == line.image).all() and (again.corners == line.corners).all()


def test_a_damaged_detector_is_named(tmp_path: Path) -> None:
    (tmp_path / "detector.onnx").write_bytes(DETECTOR.read_bytes()[:5000])
    for path in (tmp_path / "detector.onnx", tmp_path / "none.onnx"):
        with pytest.raises(NetchuError, match=f"{path.name}: the page detector cannot be opened"):
            Detector(path)

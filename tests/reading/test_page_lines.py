"""Pages are cut into their lines: with and without rules, turned, shaded, and photographed on a desk."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.core.preprocess import read_image
from netchu.reading.page_lines import PageLine, find_lines, reading_order
from netchu.reading.page_photo import find_angle, find_ink, find_sheet, straighten
from tests.support.forms import KINDS, Form, make_form


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two convex quadrilaterals (4, 2)."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    shared = cv2.intersectConvexConvex(a, b)[0]
    return float(shared / (cv2.contourArea(a) + cv2.contourArea(b) - shared))


def assert_found(form: Form, lines: list[PageLine]) -> None:
    """Every line once, nothing else, in reading order."""
    assert len(lines) == len(form.texts)
    for line, corners in zip(lines, form.corners, strict=True):
        assert overlap(line.corners, corners) > 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("seed", "angle", "shade"), [(1, 0.0, 0.0), (2, 3.3, 0.5), (3, -6.5, 0.6)])
def test_every_line_is_found_once_and_in_order(kind: str, seed: int, angle: float, shade: float) -> None:
    form = make_form(kind, seed, angle=angle, shade=shade, rows=6)
    assert_found(form, find_lines(form.photo))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sheet_on_a_desk_is_flattened(kind: str) -> None:
    form = make_form(kind, 4, shade=0.3, rows=5)
    (height, width), rng = form.photo.shape, np.random.default_rng(0)
    sheet = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    seen = sheet + 180 + rng.uniform(-50, 50, (4, 2)).astype(np.float32)
    way = cv2.getPerspectiveTransform(sheet, seen)
    desk = cv2.warpPerspective(form.photo, way, (width + 360, height + 360), borderValue=(55.0,))
    desk = np.clip(desk + rng.normal(0, 3, desk.shape), 0, 255).astype(np.uint8)
    corners = cv2.perspectiveTransform(form.corners.reshape(-1, 1, 2), way).reshape(-1, 4, 2)
    assert_found(Form(desk, form.texts, corners), find_lines(desk))
    found = find_sheet(desk)
    assert found is not None and np.abs(found - seen).max() < 15
    assert find_sheet(form.photo) is None, "a page that fills the picture has no edge"


def test_a_cut_line_holds_its_ink_and_no_rule_crosses_it() -> None:
    """The straightened cell of a table: dark strokes inside, rules along its edge at most."""
    form = make_form("table", 2, angle=2.5, rows=4)
    page = straighten(form.photo)
    assert page.across.any() and page.down.any()
    lines = find_lines(form.photo)
    for line in lines:
        ink = find_ink(line.image)
        assert ink.any()
        middle = ink[len(ink) // 5 : -len(ink) // 5]
        assert middle.mean(axis=1).max() < 0.9 and ink.mean(axis=0).max() < 0.9, "a rule crosses the line"
    total = sum(int(find_ink(line.image).sum()) for line in lines)
    assert total > 0.7 * page.ink.sum()


def test_the_angle_is_measured_to_a_tenth_of_a_degree() -> None:
    for angle in (-7.3, 0.0, 4.1):
        assert find_angle(find_ink(make_form("ruled", 1, angle=angle, rows=4).photo)) == pytest.approx(-angle, abs=0.1)


def test_large_photographs_are_cut_by_their_reduction() -> None:
    form = make_form("ruled", 2, rows=4)
    large = cv2.resize(form.photo, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert_found(Form(large, form.texts, form.corners * 2), find_lines(np.asarray(large, np.uint8)))


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
    assert reading_order([]) == []


def test_the_command_writes_the_lines_or_says_why_not(tmp_path: Path) -> None:
    form = make_form("blank", 3, rows=3)
    cv2.imwrite(str(tmp_path / "page.jpg"), form.photo)
    command = [
        sys.executable,
        "-m",
        "netchu",
        "cut-page",
        str(tmp_path / "page.jpg"),
        "--draw",
        str(tmp_path / "drawn.png"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in sorted((tmp_path / "page_lines").iterdir())] == ["000.png", "001.png", "002.png"]
    assert read_image(tmp_path / "drawn.png").shape == form.photo.shape
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "000.png: is a line of an earlier page" in done.stderr
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((300, 300), 230, np.uint8))
    done = subprocess.run([*command[:3], str(tmp_path / "empty.png")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no writing was found" in done.stderr
    assert not (tmp_path / "empty_lines").exists()

"""The arithmetic of docs/mobile.md, without OpenCV, lands within the tolerance that the test vectors state."""

import base64
import json
import re
from math import ceil, exp, floor
from pathlib import Path

import numpy as np
import pytest

from netchu.core.images import is_blank
from netchu.core.preprocess import Geometry
from netchu.export.vectors import TOLERANCE, drawn_lines, write_vectors
from tests.support.tiny import CHARSET, ROOT

GEOMETRIES = [
    Geometry(48, 2048, 8),
    Geometry(32, 2048, 8),
    Geometry(64, 2048, 8),
    Geometry(48, 512, 8),
    Geometry(48, 2048, 8, 1.15),
]


def taps(count: int, target: int, area: bool) -> np.ndarray:
    """Weights (target, count) of one axis, as `taps` of docs/mobile.md makes them."""
    scale, weights = count / target, np.zeros((target, count))
    for i in range(target):
        if area:
            start, end = i * scale, min((i + 1) * scale, count)
            for j in range(floor(start), min(ceil(end), count)):
                weights[i, j] = max(0.0, min(j + 1, end) - max(j, start)) / (end - start)
        else:
            place = min(max((i + 0.5) * scale - 0.5, 0.0), count - 1.0)
            left = floor(place)
            weights[i, left] = 1 - (place - left)
            if left + 1 < count:
                weights[i, left + 1] = place - left
    return weights


def level(grey: np.ndarray, share: float) -> int:
    """`level` of docs/mobile.md."""
    return int(np.argmax(np.cumsum(np.bincount(grey.ravel(), minlength=256)) >= share * grey.size))


def ported_is_blank(grey: np.ndarray, numbers: dict[str, float]) -> bool:
    """`isBlank` of docs/mobile.md."""
    return level(grey, 0.5) - level(grey, numbers["written_share"]) < numbers["faintest"]


def ported_input(grey: np.ndarray, numbers: dict[str, float]) -> np.ndarray:
    """`preprocess` of docs/mobile.md: (h, w) -> (1, H, W)."""
    (height, width), target, pad = grey.shape, int(numbers["height"]), int(numbers["pad"])
    wide = round(width * (target / height) * numbers["stretch"])
    line = min(max(1, wide), int(numbers["max_width"]) - 2 * pad)
    area = target < height
    small = np.rint(taps(height, target, area) @ grey @ taps(width, line, area).T).clip(0, 255).astype(np.uint8)
    ink, paper = level(small, numbers["ink_share"]), level(small, numbers["paper_share"])
    strength = ((paper - small.astype(float)) / max(paper - ink, numbers["min_contrast"])).clip(0, numbers["max_ink"])
    full = ceil((line + 2 * pad) / numbers["width_multiple"]) * int(numbers["width_multiple"])
    return np.pad(strength, ((0, 0), (pad, full - line - pad)))[None]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_port_reproduces_the_vectors(geometry: Geometry, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outputs = [np.log(rng.dirichlet(np.full(len(CHARSET), 0.05), 9) + 1e-12).astype(np.float32) for _ in drawn_lines()]
    write_vectors(tmp_path / "vectors.json", geometry, CHARSET, outputs)
    vectors = json.loads((tmp_path / "vectors.json").read_text(encoding="utf-8"))
    assert vectors["tolerance"] == TOLERANCE
    for line in vectors["lines"]:
        grey = np.frombuffer(base64.b64decode(line["grey"]), np.uint8).reshape(line["height"], line["width"])
        expected = np.frombuffer(base64.b64decode(line["input"]), "<f4").reshape(line["input_shape"])
        found = ported_input(grey, vectors["preprocessing"])
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= vectors["tolerance"]["input"]
        assert expected.max() > 0.9, "there is ink to compare"
        log_probs = np.frombuffer(base64.b64decode(line["log_probs"]), "<f4").reshape(line["log_probs_shape"])
        assert collapse(log_probs.argmax(1).tolist(), vectors["charset"]) == line["text"]
        assert min(1.0, exp(log_probs.max(1).sum())) == pytest.approx(line["confidence"], abs=1e-4)
        assert not ported_is_blank(grey, vectors["preprocessing"])
    assert len(vectors["blank"]) == 2
    for paper in vectors["blank"]:
        grey = np.frombuffer(base64.b64decode(paper["grey"]), np.uint8).reshape(paper["height"], paper["width"])
        assert is_blank(grey) and ported_is_blank(grey, vectors["preprocessing"])
    for case in vectors["decode"]:
        assert collapse(case["classes"], vectors["charset"]) == case["text"]


def collapse(path: list[int], characters: str) -> str:
    """`collapse` of docs/mobile.md."""
    kept = [c for before, c in zip([0, *path], path, strict=False) if c not in (before, 0)]
    return "".join(characters[c - 1] for c in kept).strip()


def test_the_page_uses_every_number_that_the_export_writes() -> None:
    page = (ROOT / "docs" / "mobile.md").read_text(encoding="utf-8")
    used = set(re.findall(r"_(?:whole|number)\('(\w+)'\)", page))
    assert used == set(GEOMETRIES[0].to_dict())
    assert all(f"'{key}'" in page for key in ("classes", "grey", "input", "log_probs", "input_shape", "tolerance"))


def test_the_page_calls_only_what_it_defines() -> None:
    page = (ROOT / "docs" / "mobile.md").read_text(encoding="utf-8")
    members = set(re.findall(r"^  (?:final )?[\w<>, ]+ (\w+)[(;]", page, re.MULTILINE))
    assert set(re.findall(r"\bnetchu((?:\.\w+)+)[\[(]", page)) <= {f".{name}" for name in members}

"""Pages that the tests photograph: synthetic lines written into forms with and without rules, turned and shaded."""

from dataclasses import dataclass

import cv2
import numpy as np

from netchu.synthesis.effects import CLEAN_EFFECTS
from netchu.synthesis.renderer import Renderer
from tests.support.tiny import ROOT

FONTS = sorted((ROOT / "synthetic_data" / "fonts").glob("*.ttf"))[:6]
WORDS = (
    "Số 12 Hai Bà Trưng Hà Nội", "Tổ 5 Ấp Suối Đục Cẩm Mỹ Đồng Nai", "Thanh Minh Thị Xã Phú Thọ", "Ái Quốc Hải Dương",
    "452/8d Hoàng Văn Thụ Phú Nhuận", "Xã Quỳnh Hưng Quỳnh Phụ Thái Bình", "P 6 Gò Vấp Tp Hồ Chí Minh", "Mỹ Tho",
)  # fmt: skip
KINDS = ("table", "ruled", "blank")


@dataclass(frozen=True)
class Form:
    """A photographed page (h, w), and the texts and quadrilaterals (n, 4, 2) of its lines in reading order."""

    photo: np.ndarray
    texts: list[str]
    corners: np.ndarray


def make_form(
    kind: str, seed: int, *, angle: float = 0.0, shade: float = 0.0, rows: int = 7, margin: int = 14, full: bool = False
) -> Form:
    """Write lines of one hand into a form. `angle` in degrees, `shade` 0 to 1: how dark its darkest corner is.

    Kinds: KINDS, and "columns", two columns of running text, whose lines are in order column by column.
    `margin`: pixels between a cell's rule and its writing; `full`: long texts, each as wide as its cell allows.
    """
    rng = np.random.default_rng([seed, (*KINDS, "columns").index(kind)])
    height = 64
    renderer = Renderer([FONTS[seed % len(FONTS)]], height=height, effects=CLEAN_EFFECTS)
    writer = f"{renderer.faces[0]}-{seed:04d}"
    pitch, top, left, middle, right = 92, 110, 90, 820, 1560
    page = np.full((top + rows * pitch + 140, 1650), 226.0)
    columns = [(left, middle), (middle, right)] if kind in ("table", "columns") else [(left, right)]
    words = [text for text in WORDS if len(text) > 20] if full else WORDS
    texts, boxes = [], []
    for row in range(rows):
        for start, end in columns:
            text = words[int(rng.integers(len(words)))]
            line = renderer.render(text, rng, writer).astype(float)
            room = end - start - 2 * margin
            if full or line.shape[1] > room:
                line = cv2.resize(line, (room, height), interpolation=cv2.INTER_AREA)
            x = start + margin + int(rng.integers(0, max(1, room - line.shape[1])))
            y = top + row * pitch + (16 if kind != "ruled" else 26)
            depth = np.clip(1 - line / np.percentile(line, 90), 0, 1)
            depth *= max(1.0, 0.3 / depth.max())  # no ink so pale that nobody could read it
            darkness = np.where(depth < 0.1, 1.0, 1 - depth)
            page[y : y + height, x : x + line.shape[1]] *= darkness
            texts.append(text)
            boxes.append((x, y, x + line.shape[1], y + height))
    if kind == "columns":
        texts, boxes = texts[::2] + texts[1::2], boxes[::2] + boxes[1::2]
    if kind in ("table", "ruled"):
        for row in range(rows + 1):
            cv2.line(page, (left, top + row * pitch), (right, top + row * pitch), (120.0,), 2)
    if kind == "table":
        for x in (left, middle, right):
            cv2.line(page, (x, top), (x, top + rows * pitch), (120.0,), 2)
    corners = np.array([[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in boxes], dtype=float)
    return Form(_photographed(page, angle, shade, rng), texts, _turned(page, corners, angle))


def _turn(page: np.ndarray, angle: float) -> np.ndarray:
    return cv2.getRotationMatrix2D((page.shape[1] / 2, page.shape[0] / 2), angle, 1.0)


def _turned(page: np.ndarray, corners: np.ndarray, angle: float) -> np.ndarray:
    turn = _turn(page, angle)
    return corners @ turn[:, :2].T + turn[:, 2]


def _photographed(page: np.ndarray, angle: float, shade: float, rng: np.random.Generator) -> np.ndarray:
    """Turned, shaded from one corner to the other, with grain."""
    size = page.shape[::-1]
    photo = cv2.warpAffine(page, _turn(page, angle), size, flags=cv2.INTER_LINEAR, borderValue=226.0)
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    photo = np.asarray(photo) * (1 - shade * (0.6 * across + 0.4 * down)) + rng.normal(0, 3, photo.shape)
    return np.clip(photo, 0, 255).astype(np.uint8)

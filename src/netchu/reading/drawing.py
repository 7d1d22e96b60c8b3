"""Pictures of what a model reads: `samples.png`, lines with prediction and truth, drawn by OpenCV 5."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.images import Image
from netchu.core.metrics import distance

ROW = 48  # pixels of a line image in the picture
MARGIN = 10  # pixels around the lines
FONT_SIZE, LEADING = 17, 23  # pixels of a text, and from one to the next
GOOD, BAD, GREY = (80, 110, 0), (20, 40, 190), (90, 90, 90)  # BGR


def check_picture(path: Path, option: str) -> None:
    """Raise NetchuError, naming the option that asked for it, for a picture of no kind that `save_picture` writes."""
    if path.suffix and not cv2.haveImageWriter(f"a{path.suffix}"):
        raise NetchuError(f"{option} {path}: no kind of picture ends in {path.suffix}; name it .png")


def check_letters(path: Path) -> None:
    """Raise NetchuError for an OpenCV before 5, which has no Vietnamese letters."""
    if not hasattr(cv2, "FontFace"):
        raise NetchuError(f"{path}: OpenCV {cv2.__version__} cannot draw it; pip install -U opencv-python-headless")


def draw_samples(path: Path, images: Sequence[Image], answers: Sequence[str], labels: Sequence[str | None]) -> None:
    """Write a picture of line images (h, w), each with its answer and, where they differ, its label below.

    Raises NetchuError without a line, and for an OpenCV that `check_letters` refuses.
    """
    if not images:
        raise NetchuError(f"{path}: no line to draw")
    check_letters(path)
    face, rows = cv2.FontFace("sans"), []
    for image, answer, label in zip(images, answers, labels, strict=True):
        width = max(1, round(image.shape[1] * ROW / image.shape[0]))
        rows.append((cv2.resize(image, (width, ROW), interpolation=cv2.INTER_AREA), _texts(answer, label)))
    widths = [strip.shape[1] for strip, _ in rows] + [_width(face, text) for _, texts in rows for text, _ in texts]
    heights = [ROW + LEADING * len(texts) + MARGIN for _, texts in rows]
    sheet = np.full((sum(heights) + MARGIN, max(widths) + 2 * MARGIN, 3), 255, np.uint8)
    top = MARGIN
    for (strip, texts), height in zip(rows, heights, strict=True):
        sheet[top : top + ROW, MARGIN : MARGIN + strip.shape[1]] = strip[..., None]
        for number, (text, colour) in enumerate(texts, 1):
            cv2.putText(sheet, text, (MARGIN, top + ROW + LEADING * number - 4), colour, face, FONT_SIZE)
        top += height
    save_picture(path, sheet)


def save_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (h, w) or (h, w, 3) BGR atomically, of the kind that its name ends in, or as PNG."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix or ".png", picture)[1].tobytes())


def _texts(answer: str, label: str | None) -> list[tuple[str, tuple[int, int, int]]]:
    """What stands below a line, each text with its colour."""
    if label is None or label == answer:
        return [(answer or "(empty)", GREY if label is None else GOOD)]
    return [(f"{answer or '(empty)'}   [{distance(answer, label)} off]", BAD), (label, GREY)]


def _width(face: "cv2.FontFace", text: str) -> int:
    """Pixels that a text takes."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), face, FONT_SIZE)[2])

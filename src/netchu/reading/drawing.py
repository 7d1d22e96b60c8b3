"""Pictures of what a model reads: `samples.png`, lines with prediction and truth."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.images import Image
from netchu.core.metrics import distance

ROW = 48  # pixels of a line image in the picture
FONT_SIZE = 17
GOOD, BAD, GREY = (0, 110, 80), (190, 40, 20), (90, 90, 90)


def draw_samples(path: Path, images: Sequence[Image], answers: Sequence[str], labels: Sequence[str | None]) -> None:
    """Write a picture of line images (h, w), each with its answer and, where they differ, its label below."""
    if not images:
        raise NetchuError(f"{path}: no line to draw")
    font = ImageFont.truetype(_font_file(), FONT_SIZE)
    strips = [_scaled(image) for image in images]
    pixels_a_letter = FONT_SIZE * 0.62
    longest = max(len(text or "") for text in (*answers, *labels)) + 10
    width = max(max(s.shape[1] for s in strips), round(longest * pixels_a_letter)) + 20
    heights = [
        ROW + (FONT_SIZE + 6) * (2 if label is not None and label != answer else 1) + 14
        for answer, label in zip(answers, labels, strict=True)
    ]
    sheet = PillowImage.new("RGB", (width, sum(heights) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    top = 10
    for strip, answer, label, height in zip(strips, answers, labels, heights, strict=True):
        sheet.paste(PillowImage.fromarray(strip), (10, top))
        below = top + ROW + 2
        if label is None or label == answer:
            draw.text((10, below), answer or "(empty)", font=font, fill=GREY if label is None else GOOD)
        else:
            draw.text((10, below), f"{answer or '(empty)'}   [{distance(answer, label)} off]", font=font, fill=BAD)
            draw.text((10, below + FONT_SIZE + 4), label, font=font, fill=GREY)
        top += height
    with atomic_path(path) as temporary:
        sheet.save(temporary)


def _scaled(image: Image) -> Image:
    """The line at the picture's row height."""
    width = max(1, round(image.shape[1] * ROW / image.shape[0]))
    return np.asarray(cv2.resize(image, (width, ROW), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _font_file() -> str:
    """A font with every Vietnamese letter: matplotlib ships DejaVu Sans."""
    from matplotlib import get_data_path

    return str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")

"""Lines that an export is compared on, and the file of test vectors that a port to another language must reproduce.

The lines are drawn here with OpenCV's own pen letters on shaded paper: three widths, two above and one below the
usual input height, nobody's handwriting, so a package may be passed on. What a model reads in them matters less than
that every implementation reads the same.
"""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK, Charset
from netchu.core.files import write_text
from netchu.core.images import Image
from netchu.core.preprocess import Geometry, preprocess, resize
from netchu.ctc.decoders import LogProbs, greedy

DRAWN = (("P 5", 30), ("So 12 Hai Ba Trung", 57), ("To 7 Ap Bac Xa My Phuoc Huyen Chau Thanh Tinh Tien Giang", 96))
TOLERANCE = {"input": 0.03, "log_probs": 0.02}  # largest difference of a right port: OpenCV resizes in whole levels


def drawn_lines() -> list[Image]:
    """Three grey lines (h, w), the same on every call."""
    return [_draw(text, height) for text, height in DRAWN]


def blank_papers() -> list[Image]:
    """Grey images (h, w) without ink: even, and shaded with grain; the same on every call."""
    shaded = np.linspace(228, 212, 300)[None] + np.random.default_rng(0).normal(0, 2, (48, 300))
    return [np.full((40, 200), 220, np.uint8), np.round(shaded).astype(np.uint8)]


def _draw(text: str, height: int) -> Image:
    """Pen letters, 60 % of the height, on paper that darkens to the right."""
    face = cv2.FONT_HERSHEY_SIMPLEX
    thickness = max(1, height // 24)
    scale = cv2.getFontScaleFromHeight(face, round(0.45 * height), thickness)
    width = cv2.getTextSize(text, face, scale, thickness)[0][0] + height // 2
    ink = np.zeros((height, width), dtype=np.uint8)
    cv2.putText(ink, text, (height // 4, round(0.7 * height)), face, scale, (255,), thickness, cv2.LINE_AA)
    paper = np.linspace(235, 190, width)[None]
    return np.round(paper * (1 - 0.8 * (ink / 255.0))).astype(np.uint8)  # type: ignore[no-any-return]


def write_vectors(path: Path, geometry: Geometry, charset: Charset, outputs: list[LogProbs]) -> None:
    """Write the test vectors as JSON; `outputs` are the exported model's log_probs (T, C) for `drawn_lines()`.

    `lines` hold grey bytes, the network's input and its answer; arrays are base64, float32 little-endian, row by row.
    `blank` holds grey bytes of paper without ink, which reads as nothing.
    `decode` holds the best classes of some made-up time steps and their text.
    """
    about = {
        "charset": charset.characters,
        "preprocessing": geometry.to_dict(),
        "tolerance": TOLERANCE,
        "lines": [
            _line(image, geometry, charset, log_probs) for image, log_probs in zip(drawn_lines(), outputs, strict=True)
        ],
        "blank": [_grey(image) for image in blank_papers()],
        "decode": [{"classes": classes, "text": _text(classes, charset)} for classes in _paths(charset)],
    }
    write_text(path, json.dumps(about, ensure_ascii=False))


def _grey(image: Image) -> dict[str, Any]:
    return {"height": image.shape[0], "width": image.shape[1], "grey": _base64(image)}


def _line(image: Image, geometry: Geometry, charset: Charset, log_probs: LogProbs) -> dict[str, Any]:
    network_input = preprocess(image, geometry)
    reading = greedy(log_probs, charset)
    return {
        **_grey(image),
        "resized_width": resize(image, geometry).shape[1],
        "input_shape": list(network_input.shape),
        "input": _base64(network_input),
        "log_probs_shape": list(log_probs.shape),
        "log_probs": _base64(log_probs),
        "text": reading.text,
        "confidence": reading.confidence,
    }


def _paths(charset: Charset) -> list[list[int]]:
    """Best classes a time step that a decoder can get wrong: repeats, a blank between them, nothing, outer spaces."""
    one = next(i for i, character in enumerate(charset.characters, 1) if character != " ")
    two = len(charset) - 1
    space = charset.encode(" ") if " " in charset.characters else []
    return [
        [BLANK, one, one, BLANK, BLANK, one, two, two, BLANK],
        [two, BLANK, two, two, one, BLANK],
        [BLANK] * 6,
        [],
        [*space, one, *space, *space, two, BLANK, *space],
    ]


def _text(classes: list[int], charset: Charset) -> str:
    probs = np.full((len(classes), len(charset)), -9.0, dtype=np.float32)
    probs[np.arange(len(classes)), classes] = -0.1
    return greedy(probs, charset).text


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")

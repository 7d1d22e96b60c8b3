"""Preprocessing: sizes, padding, polarity, and files that are no images."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.core.images import read_image
from netchu.core.preprocess import WIDTH_MULTIPLE, Geometry, preprocess, resize, to_input

GEOMETRY = Geometry(height=32, max_width=256, pad=8)


def written(height: int = 64, width: int = 300) -> np.ndarray:
    """Light paper with a dark bar."""
    image = np.full((height, width), 220, np.uint8)
    image[height // 3 : height // 2, 20 : width - 20] = 30
    return image


@pytest.mark.parametrize(("height", "width"), [(64, 300), (32, 40), (20, 20), (96, 3000), (400, 1)])
def test_shape_is_the_height_and_a_multiple_of_32(height: int, width: int) -> None:
    output = preprocess(written(height, width), GEOMETRY)
    assert output.shape[:2] == (1, 32)
    assert output.dtype == np.float32
    assert output.shape[2] % WIDTH_MULTIPLE == 0
    assert output.shape[2] <= 256
    assert output.shape[2] == GEOMETRY.input_width(resize(written(height, width), GEOMETRY).shape[1])


def test_ink_is_near_one_and_paper_and_padding_are_zero() -> None:
    output = preprocess(written(), GEOMETRY)
    assert output[0, 12, 60] > 0.9
    assert abs(output[0, 28, 60]) < 0.05
    assert (output[:, :, :8] == 0).all()
    assert (output[:, :, -8:] == 0).all()


def test_brightness_and_contrast_of_the_photo_do_not_matter() -> None:
    image = written()
    darker = (image * 0.5 + 10).astype(np.uint8)
    assert np.abs(preprocess(image, GEOMETRY) - preprocess(darker, GEOMETRY)).max() < 0.05


def test_a_stretch_widens_the_line_alone() -> None:
    image = np.full((60, 300), 200, np.uint8)
    narrow = Geometry(height=48, max_width=1024, pad=8)
    wide = replace(narrow, stretch=1.25)
    assert resize(image, narrow).shape == (48, 240)
    assert resize(image, wide).shape == (48, 300)


def test_blank_paper_is_not_stretched_to_noise() -> None:
    noise = np.random.default_rng(0).normal(200, 2, (32, 200)).clip(0, 255).astype(np.uint8)
    assert to_input(noise, GEOMETRY).max() < 0.35


def test_colour_and_unicode_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ảnh số 1.png"
    colour = np.dstack([written()] * 3)
    path.write_bytes(cv2.imencode(".png", colour)[1].tobytes())
    assert (read_image(path) == written()).all()

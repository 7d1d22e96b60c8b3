"""Two rows of writing in one field are laid side by side; a line of one row is left alone, whatever hangs into it."""

import cv2
import numpy as np
import pytest

from netchu.core.images import Image
from netchu.core.two_rows import join_rows

H, W = 96, 1400


def sheet() -> Image:
    return np.full((H, W), 220, np.uint8)


def write(image: Image, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 40, 2, cv2.LINE_AA)


def two_rows() -> Image:
    image = sheet()
    write(image, "AN THANH MO CAY", 20, 40, 1.3)
    write(image, "CAY NAM BEN TRE", 24, 84, 1.3)
    return image


def one_row() -> Image:
    image = sheet()
    write(image, "An Thanh Mo Cay Nam Ben Tre", 20, 65, 1.6)
    return image


def words(image: Image) -> Image:
    """The part with ink of a line without rules, reduced or enlarged to 32 pixels' height."""
    y, x = np.nonzero(image < 150)
    part = image[y.min() : y.max() + 1, x.min() : x.max() + 1]
    return cv2.resize(part, (part.shape[1] * 32 // part.shape[0], 32), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def test_the_second_row_stands_behind_the_first() -> None:
    joined = join_rows(two_rows())
    columns = np.flatnonzero((joined < 150).any(axis=0))
    gaps = np.diff(columns)
    middle = int(gaps.argmax())
    assert 60 < gaps[middle] < 90  # wider than between words
    for part, y in (
        (joined[:, : columns[middle] + 3], slice(0, 48)),
        (joined[:, columns[middle + 1] - 2 :], slice(50, H)),
    ):
        expected, found = words(two_rows()[y]), words(part)
        assert found.shape == expected.shape and np.abs(found.astype(int) - expected).mean() < 2
    assert 1.8 < joined.shape[0] / 28 < 2.5  # letters are 28 pixels high


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_an_image_of_any_size_is_told(scale: float) -> None:
    def resized(image: Image) -> Image:
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    image, single = resized(two_rows()), resized(one_row())
    assert join_rows(image).shape[1] > 1.2 * image.shape[1]
    assert join_rows(single) is single


def test_the_rules_of_a_field_are_no_writing() -> None:
    image = two_rows()
    cv2.line(image, (0, 3), (1300, 5), 30, 3)
    cv2.line(image, (0, 91), (1300, 93), 30, 3)
    cv2.line(image, (1300, 0), (1300, H), 30, 3)
    plain, joined = join_rows(two_rows()), join_rows(image)
    assert abs(joined.shape[1] - plain.shape[1]) < 20


def test_a_foot_that_reaches_into_the_other_row_does_not_hide_them() -> None:
    image = two_rows()
    for x in (150, 400):
        cv2.line(image, (x, 38), (x - 4, 62), 40, 2)
    assert join_rows(image).shape[1] > 1.2 * W


def test_what_hangs_in_from_the_line_above_is_no_row() -> None:
    image = sheet()
    write(image, "An Thanh Mo Cay Nam Ben Tre", 20, 84, 1.3)
    for x in range(40, 900, 90):
        cv2.ellipse(image, (x, 8), (14, 18), 0, 20, 160, 40, 2)
    assert join_rows(image) is image


def test_letters_in_turn_above_and_below_are_one_row() -> None:
    image = sheet()
    for i, word in enumerate(["AN", "THANH", "MO", "CAY", "NAM", "BEN"]):
        write(image, word, 20 + 170 * i, 40 if i % 2 else 84, 1.0)
    assert join_rows(image) is image


def test_whatever_the_strokes_are_a_line_comes_out() -> None:
    """Of a thousand images with ovals anywhere, hundreds pass for two rows."""
    draw, joined = np.random.default_rng(1), 0
    for _ in range(1000):
        height, width = int(draw.integers(24, 160)), int(draw.integers(200, 1500))
        image: Image = np.full((height, width), 220, np.uint8)
        for half in draw.integers(0, 2, 24):
            tall = draw.uniform(0.18, 0.42) * height
            wide, y = draw.uniform(0.1, 2.5) * tall, draw.uniform(half * height / 2, (half + 1) * height / 2 - tall)
            centre = int(draw.uniform(0, width)), int(max(0, y) + tall / 2)
            cv2.ellipse(image, centre, (int(wide / 2), int(tall / 2)), 0, 0, 340, 40, max(1, height // 40))
        line = join_rows(image)
        joined += line is not image
        assert line.dtype == np.uint8 and min(line.shape) > 0
    assert joined > 200


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (40, 3), (64, 1200)])
def test_an_image_without_writing_stays_as_it_is(shape: tuple[int, int]) -> None:
    for image in (np.full(shape, 200, np.uint8), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)):
        assert join_rows(image).dtype == np.uint8
    flat = np.full(shape, 200, np.uint8)
    assert join_rows(flat) is flat

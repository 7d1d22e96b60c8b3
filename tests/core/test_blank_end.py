"""Paper behind the writing is shortened, and no writing with it."""

import cv2
import numpy as np
import pytest

from netchu.core.blank_end import shorten_blank_end
from netchu.core.images import Image

H, W = 64, 1200


def line(end: int) -> Image:
    """A line (H, W) whose words, of letters 20 pixels wide, reach to the column `end`."""
    image = np.full((H, W), 220, np.uint8)
    for x in range(10, end - 20, 26):
        cv2.ellipse(image, (x + 10, 36), (9, 14), 0, 20, 330, 60, 3)
    cv2.line(image, (end - 12, 20), (end - 1, 48), 60, 3)
    return image


@pytest.mark.parametrize("end", [200, 500, 900])
@pytest.mark.parametrize("height", [48, 64, 96, 300])
def test_long_paper_goes_and_two_and_a_half_heights_of_it_stay(end: int, height: int) -> None:
    scale = height / H
    image: Image = cv2.resize(line(end), (round(W * scale), height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    width = shorten_blank_end(image).shape[1]
    assert end + 2.5 * H - 6 <= width / scale <= end + 2.5 * H + 6


def test_rules_the_edge_of_the_sheet_and_other_lines_are_no_writing() -> None:
    plain, image = line(400), line(400)
    cv2.line(image, (0, 3), (W, 9), 40, 2)  # the rule of a form's field, a little askew
    cv2.line(image, (1000, 0), (1006, H), 40, 3)
    cv2.line(image, (700, 0), (716, 6), 60, 3)  # the foot of a letter in the line above
    image[:, W - 12 :] = 90
    short = shorten_blank_end(image)
    assert abs(short.shape[1] - shorten_blank_end(plain).shape[1]) <= 4
    assert np.array_equal(short[:, -96:], image[:, -96:])  # the edge is still seen


@pytest.mark.parametrize("ink", [60, 190])
def test_a_word_far_behind_the_others_stays(ink: int) -> None:
    image = line(300)
    image[image < 200] = ink
    cv2.putText(image, "5", (1000, 48), cv2.FONT_HERSHEY_SIMPLEX, 1.2, ink, 2)
    assert np.array_equal(shorten_blank_end(image)[:, :1060], image[:, :1060])
    cv2.putText(image, ".", (1100, 48), cv2.FONT_HERSHEY_SIMPLEX, 1.2, ink, 3)
    assert np.array_equal(shorten_blank_end(image)[:, :1120], image[:, :1120])


def test_a_one_after_a_space_stays() -> None:
    image = line(300)
    cv2.line(image, (350, 0), (350, H), 60, 3)  # as tall as a rule, and within a height of the last letter
    short = shorten_blank_end(image)
    assert short.shape[1] < W / 2 + 10 and np.array_equal(short[:, :354], image[:, :354])


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (40, 3), (64, 1200)])
def test_an_image_without_writing_stays_as_it_is(shape: tuple[int, int]) -> None:
    image = np.full(shape, 220, np.uint8)
    assert shorten_blank_end(image).shape == shape

"""What is done to a line's image before it is reduced to the network's height."""

from netchu.core.blank_end import shorten_blank_end
from netchu.core.images import Image
from netchu.core.strokes import find_strokes
from netchu.core.two_rows import join_rows


def tidy_line(image: Image) -> Image:
    """The line (h, w), dark on paper, as one row of writing with little paper behind it: (h', w')."""
    found = find_strokes(image)
    joined = join_rows(image, found)
    return shorten_blank_end(joined, found if joined is image else None)

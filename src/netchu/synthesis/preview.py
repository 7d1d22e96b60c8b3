"""A contact sheet of synthetic lines, beside real ones if given: `netchu preview --out sheet.png`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from netchu.core.image_files import find_images
from netchu.core.images import read_image
from netchu.core.options import add_number, add_options, new_file, refuse_idle, refuse_overwriting
from netchu.reading.drawing import check_picture, save_picture
from netchu.synthesis import Rng
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import packaged_gazetteer
from netchu.synthesis.effects import PRESETS
from netchu.synthesis.fonts import find_fonts
from netchu.synthesis.renderer import Renderer

BORDER = 6


def sample_images(paths: Sequence[Path], count: int, height: int, rng: Rng) -> list[np.ndarray]:
    """`count` of the images, uint8 (height, W) each."""
    images = []
    for index in rng.permutation(len(paths))[:count]:
        image = read_image(paths[index])
        width = max(1, round(image.shape[1] * height / image.shape[0]))
        images.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return images


def make_sheet(columns: list[list[np.ndarray]], width: int) -> np.ndarray:
    """Stack lines, uint8 (H, W), in columns `width` pixels wide, cut at the right; returns uint8 on white."""
    tallest = max(sum(len(image) + BORDER for image in images) for images in columns)
    sheet = np.full((tallest, len(columns) * (width + BORDER)), 255, np.uint8)
    for number, images in enumerate(columns):
        left, top = number * (width + BORDER), 0
        for image in images:
            shown = image[:, :width]
            sheet[top : top + len(image), left : left + shown.shape[1]] = shown
            top += len(image) + BORDER
    return sheet


def main() -> None:
    """Read the arguments and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=new_file, required=True, metavar="FILE.png", help="picture to write")
    parser.add_argument("--real", type=Path, help="folder of real line images for the left column")
    parser.add_argument("--lines", type=Path, help="folder of synthetic lines; without it, new ones are made")
    add_number(parser, "--count", int, 1, default=16, help="lines in a column")
    add_number(parser, "--height", int, 16, 512, default=64, help="height of a line in pixels")
    add_number(parser, "--width", int, 1, default=1100, help="width of a column in pixels")
    parser.add_argument("--effects", choices=sorted(PRESETS), default="full", help="table of effects")
    parser.add_argument(
        "--fonts", type=Path, help="folder of .ttf and .otf faces; without it, those of this repository"
    )
    add_options(parser, "--seed")
    arguments = parser.parse_args()
    check_picture(arguments.out, "--out")
    if arguments.lines:
        refuse_idle(parser, arguments, "--effects --fonts", "is of lines that are made; leave it or --lines out")
    rng = np.random.default_rng(arguments.seed)
    shown = [find_images(folder) for folder in (arguments.real, arguments.lines) if folder is not None]
    refuse_overwriting([arguments.out], [path for paths in shown for path in paths])
    columns = [sample_images(paths, arguments.count, arguments.height, rng) for paths in shown]
    if arguments.lines is None:
        grammar = AddressGrammar(packaged_gazetteer())
        renderer = Renderer(find_fonts(arguments.fonts), arguments.height, PRESETS[arguments.effects])
        columns.append([renderer.render(grammar.sample(rng), rng) for _ in range(arguments.count)])
    save_picture(arguments.out, make_sheet(columns, arguments.width))
    print(arguments.out)

"""A contact sheet of synthetic lines, beside real ones if given: `netchu preview --out sheet.png`."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import packaged_gazetteer
from netchu.synthesis.effects import PRESETS
from netchu.synthesis.fonts import find_fonts
from netchu.synthesis.renderer import Renderer

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
BORDER = 6


def sample_images(folder: Path, count: int, height: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` images from below a folder, uint8 (height, W) each. Raises NetchuError when there is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise NetchuError(f"{folder}: holds no images; give a folder of line images")
    images = []
    for index in rng.permutation(len(paths))[:count]:
        image = cv2.imread(str(paths[index]), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise NetchuError(f"{paths[index]}: cannot be read as an image; remove it")
        width = max(1, round(image.shape[1] * height / image.shape[0]))
        images.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    return images


def make_sheet(columns: list[list[np.ndarray]], width: int) -> np.ndarray:
    """Stack lines, uint8 (H, W), in columns `width` pixels wide, cut at the right; returns uint8 on white."""
    stacks = []
    for images in columns:
        rows = []
        for image in images:
            row = np.full((image.shape[0] + BORDER, width + BORDER), 255, np.uint8)
            row[: image.shape[0], : min(width, image.shape[1])] = image[:, :width]
            rows.append(row)
        stacks.append(np.vstack(rows))
    tallest = max(len(stack) for stack in stacks)
    return np.hstack([np.pad(stack, ((0, tallest - len(stack)), (0, 0)), constant_values=255) for stack in stacks])


def main() -> None:
    """Read the arguments and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--real", type=Path, default=None, help="folder of real line images for the left column")
    parser.add_argument(
        "--lines", type=Path, default=None, help="folder of synthetic lines; without it, new ones are made"
    )
    parser.add_argument("--count", type=int, default=16, help="lines in a column")
    parser.add_argument("--height", type=int, default=64, help="height of a line in pixels")
    parser.add_argument("--width", type=int, default=1100, help="width of a column in pixels")
    parser.add_argument("--effects", choices=sorted(PRESETS), default="full", help="table of effects")
    parser.add_argument(
        "--fonts", type=Path, help="folder of .ttf and .otf faces; without it, those of this repository"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.count < 1 or arguments.width < 1:
        raise NetchuError("--count and --width: expected 1 or more")
    rng = np.random.default_rng(arguments.seed)
    columns = []
    if arguments.real is not None:
        columns.append(sample_images(arguments.real, arguments.count, arguments.height, rng))
    if arguments.lines is not None:
        columns.append(sample_images(arguments.lines, arguments.count, arguments.height, rng))
    else:
        grammar = AddressGrammar(packaged_gazetteer())
        renderer = Renderer(find_fonts(arguments.fonts), arguments.height, PRESETS[arguments.effects])
        columns.append([renderer.render(grammar.sample(rng), rng) for _ in range(arguments.count)])
    with atomic_path(arguments.out.with_suffix(".png")) as temporary:
        cv2.imwrite(str(temporary), make_sheet(columns, arguments.width))
    print(arguments.out.with_suffix(".png"))

"""Lines cut out of transcribed pages: each region becomes a line image of its own, drawn upright along its writing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder
from netchu.core.images import Image, cut_polygon, read_image
from netchu.data.manifest import Line
from netchu.data.store import unpacking_folder

JPEG_QUALITY = 95

Corners = NDArray[np.float32]  # (4, 2) x, y in pixels, clockwise from the upper left of the text
Page = tuple[Path, tuple[int, int] | None, str, Sequence[tuple[Corners, str]]]  # image, frame, writer, its regions


def cut_regions(pages: Iterable[Page], path: Path, images: Path, source: str) -> list[Line]:
    """Write every region (corners, text) of the pages of the data set at `path` as a line image below `images`, all or
    none. A page's frame is the (height, width) that its corners mean, where that is known.

    Raises NetchuError when there is no region at all.
    """
    folder = unpacking_folder(images, path)
    lines: list[Line] = []
    stems: Counter[str] = Counter()
    with atomic_folder(folder) as temporary:
        for image, frame, writer, regions in tqdm(pages, "cutting lines", unit="page", leave=False):
            if not regions:
                continue
            page = _read_page(image, frame)
            for corners, text in regions:
                name = f"{image.stem}_{stems[image.stem]:03d}.jpg"
                stems[image.stem] += 1
                _, data = cv2.imencode(".jpg", cut_polygon(page, corners), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                (temporary / name).write_bytes(data.tobytes())
                lines.append(Line(folder / name, text, writer, source=source))
        if not lines:
            raise NetchuError(f"{path}: holds no lines with polygon and text; expected transcribed pages")
    return lines


def _read_page(path: Path, frame: tuple[int, int] | None) -> Image:
    """A page as its regions mean it: not turned by EXIF where their frame fits the stored pixels only."""
    page = read_image(path, page=True)
    if frame and frame != page.shape and frame == page.shape[::-1]:
        stored = read_image(path, page=True, turned=False)
        return stored if stored.shape == frame else page
    return page


def line_corners(polygon: NDArray[np.float32], where: str, baseline: NDArray[np.float32] | None = None) -> Corners:
    """Corners of the line in a polygon (n, 2) whose points begin anywhere.

    Along its baseline (n, 2) where that is known; else four points as they are, and of more the smallest rectangle at
    any angle, both from the image's upper left. Raises NetchuError, beginning with `where`, for one without an area.
    """
    if len(polygon) < 3 or abs(cv2.contourArea(polygon)) < 1:
        raise NetchuError(f"{where}: its polygon has no area; correct or remove it")
    if baseline is not None and len(baseline) > 1 and (length := np.linalg.norm(baseline[-1] - baseline[0])) >= 1:
        right = (baseline[-1] - baseline[0]) / length
        axes = np.array([right, (-right[1], right[0])])
        along = polygon @ axes.T
        (left, top), (end, bottom) = along.min(axis=0), along.max(axis=0)
        return np.asarray(np.array([(left, top), (end, top), (end, bottom), (left, bottom)]) @ axes, dtype=np.float32)
    return clockwise(polygon if len(polygon) == 4 else np.asarray(cv2.boxPoints(cv2.minAreaRect(polygon))))


def clockwise(points: NDArray[np.float32]) -> Corners:
    """Four points sorted around their middle, from the one nearest to the image's upper left corner."""
    middle = points.mean(axis=0)
    around = points[np.argsort(np.arctan2(points[:, 1] - middle[1], points[:, 0] - middle[0]))]
    return np.roll(around, -int(around.sum(axis=1).argmin()), axis=0).astype(np.float32)

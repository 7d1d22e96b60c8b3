"""Reader of MC-OCR 2021: photographed receipts with polygons, each of which is cut out to a line image."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.image_files import list_files
from netchu.core.tables import csv_header, read_csv_rows
from netchu.data.cutting import Corners, Page, clockwise, cut_regions, line_corners
from netchu.data.label_files import ImageFinder
from netchu.data.manifest import Line

SEPARATOR = "|||"


def mcocr_files(path: Path) -> list[Path]:
    """The CSVs that a path may mean, itself or those of the folder: all with the column `anno_polygons`."""
    return [file for file in list_files(path, ".csv") if "anno_polygons" in csv_header(file)]


def read_mcocr(path: Path, *, images: Path) -> list[Line]:
    """MC-OCR 2021: `mcocr_train_df.csv`, or its folder; each polygon is cut out of its receipt as one line image.

    `anno_polygons` is a list of objects with `segmentation` ([[x, y, ...]], pixels) and `bbox` ([x, y, width, height]);
    `anno_texts` has as many texts, joined by `|||`. Receipts lie anywhere below the CSV's folder, as in
    `train_images/train_images/`. A receipt stands for a writer, so that its lines never part between folds. Receipts
    without polygons are left out. Raises NetchuError naming the receipt whose polygons and texts do not pair.
    """
    files = mcocr_files(path)
    if len(files) != 1:
        raise NetchuError(f"{path}: " + ("no such CSV with anno_polygons" if not files else "several CSVs; name one"))
    names, rows = read_csv_rows(files[0])
    if "img_id" not in names:
        raise NetchuError(f"{files[0]}: no column 'img_id'; it has: {', '.join(names)}")
    return cut_regions(_pages(files[0], rows), files[0], images, "mcocr")


def _pages(path: Path, rows: list[dict[str, str]]) -> Iterator[Page]:
    """The receipts that have polygons."""
    finder = ImageFinder(path.parent)
    for row in rows:
        where = f"{path}: receipt {row['img_id']}"
        if pairs := _pairs(row, where):
            image = finder.find(row["img_id"])
            regions = [(_corners(p, f"{where}, polygon {k}"), text) for k, (p, text) in enumerate(pairs)]
            yield image, (pairs[0][0].get("height", 0), pairs[0][0].get("width", 0)), image.stem, regions


def _pairs(row: dict[str, str], where: str) -> list[tuple[dict[str, Any], str]]:
    """The polygons of a receipt, each with its text; empty texts are left out."""
    try:
        polygons = ast.literal_eval(row["anno_polygons"].strip() or "[]")
    except (ValueError, SyntaxError):
        polygons = None
    if not isinstance(polygons, list) or not all(isinstance(polygon, dict) for polygon in polygons):
        raise NetchuError(f"{where}: anno_polygons is not a list of polygons; correct or remove this row")
    texts = row.get("anno_texts", "").split(SEPARATOR)
    if not polygons:
        return []
    if len(polygons) != len(texts):
        raise NetchuError(f"{where}: {len(polygons)} polygons and {len(texts)} texts; correct or remove this row")
    return [(polygon, text.strip()) for polygon, text in zip(polygons, texts, strict=True) if text.strip()]


def _corners(polygon: dict[str, Any], where: str) -> Corners:
    """Four corners (4, 2) in pixels, clockwise from the upper left: of the segmentation, else of the bounding box."""
    try:
        flat = np.array((polygon.get("segmentation") or [[]])[0], dtype=np.float32).reshape(-1, 2)
    except (ValueError, TypeError, KeyError):
        raise NetchuError(f"{where}: segmentation is not [[x, y, ...]]; correct or remove it") from None
    if len(flat) < 3 or abs(cv2.contourArea(flat)) < 1:
        box = polygon.get("bbox") or []
        if len(box) != 4 or min(box[2:]) < 1:
            raise NetchuError(f"{where}: has neither an area nor a bounding box; correct or remove it")
        x, y, width, height = box
        flat = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], dtype=np.float32)
    return _reading_order(flat) if len(flat) == 4 else line_corners(flat, where)


def _reading_order(points: NDArray[np.float32]) -> Corners:
    """Four corners clockwise from the upper left of the text: as they were drawn where that makes a line that is wider
    than high, so that a receipt on its side reads right, else from the image's upper left."""
    drawn = points if cv2.contourArea(points, oriented=True) > 0 else points[[0, 3, 2, 1]]
    sides = np.linalg.norm(drawn - np.roll(drawn, -1, axis=0), axis=1)
    return drawn if sides[0] + sides[2] >= sides[1] + sides[3] else clockwise(points)

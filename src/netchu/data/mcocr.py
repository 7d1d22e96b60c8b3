"""Reader of MC-OCR 2021: photographed receipts with polygons, each of which is cut out to a line image."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder
from netchu.core.image_files import list_files
from netchu.core.images import Image, read_image
from netchu.core.tables import csv_header, read_csv_rows
from netchu.data.label_files import ImageFinder
from netchu.data.manifest import Line
from netchu.data.store import unpacking_folder

SEPARATOR = "|||"
JPEG_QUALITY = 95


def is_mcocr(path: Path) -> bool:
    """Whether a CSV, or one of a folder, has the column `anno_polygons`."""
    return bool(_files(path))


def read_mcocr(path: Path, *, images: Path) -> list[Line]:
    """MC-OCR 2021: `mcocr_train_df.csv`, or its folder; each polygon is cut out of its receipt as one line image.

    `anno_polygons` is a list of objects with `segmentation` ([[x, y, ...]], pixels) and `bbox` ([x, y, width, height]);
    `anno_texts` has as many texts, joined by `|||`. Receipts lie anywhere below the CSV's folder, as in
    `train_images/train_images/`. A receipt stands for a writer, so that its lines never part between folds. Receipts
    without polygons are left out. Raises NetchuError naming the receipt whose polygons and texts do not pair.
    """
    files = _files(path)
    if len(files) != 1:
        raise NetchuError(f"{path}: " + ("no such CSV with anno_polygons" if not files else "several CSVs; name one"))
    names, rows = read_csv_rows(files[0])
    if "img_id" not in names:
        raise NetchuError(f"{files[0]}: no column 'img_id'; it has: {', '.join(names)}")
    finder = ImageFinder(files[0].parent)
    folder = unpacking_folder(images, files[0])
    lines = []
    with atomic_folder(folder) as temporary:
        for row in tqdm(rows, "cutting lines", unit="receipt", leave=False):
            where = f"{files[0]}: receipt {row['img_id']}"
            pairs = _pairs(row, where)
            if not pairs:
                continue
            source = finder.find(row["img_id"])
            receipt = _in_frame(read_image(source, page=True), source, pairs[0][0])
            stem = source.stem
            for number, (polygon, text) in enumerate(pairs):
                name = f"{stem}_{number:02d}.jpg"
                line = cut_polygon(receipt, _corners(polygon, f"{where}, polygon {number}"))
                _, data = cv2.imencode(".jpg", line, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                (temporary / name).write_bytes(data.tobytes())
                lines.append(Line(folder / name, text, stem, source="mcocr"))
        if not lines:
            raise NetchuError(f"{files[0]}: no receipt has polygons; expected the training file, not a test sample")
    return lines


def _files(path: Path) -> list[Path]:
    """The CSVs with polygons that a path may mean."""
    return [file for file in list_files(path, ".csv") if "anno_polygons" in csv_header(file)]


def _pairs(row: dict[str, str], where: str) -> list[tuple[dict[str, Any], str]]:
    """The polygons of a receipt, each with its text; empty texts are left out."""
    if not row["anno_polygons"].strip():
        return []
    try:
        polygons = ast.literal_eval(row["anno_polygons"])
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


def _corners(polygon: dict[str, Any], where: str) -> NDArray[np.float32]:
    """Four corners (4, 2) in pixels, clockwise from the upper left: of the segmentation, else of the bounding box."""
    try:
        flat = np.array((polygon.get("segmentation") or [[]])[0], dtype=np.float32).reshape(-1, 2)
    except (ValueError, TypeError, KeyError):
        raise NetchuError(f"{where}: segmentation is not [[x, y, ...]]; correct or remove it") from None
    if len(flat) >= 3 and abs(cv2.contourArea(flat)) >= 1:
        if len(flat) != 4:
            return _clockwise(np.asarray(cv2.boxPoints(cv2.minAreaRect(flat)), dtype=np.float32))
        points = flat
    else:
        box = polygon.get("bbox") or []
        if len(box) != 4 or min(box[2:]) < 1:
            raise NetchuError(f"{where}: has neither an area nor a bounding box; correct or remove it")
        x, y, width, height = box
        points = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
    return _reading_order(np.asarray(points, dtype=np.float32))


def _in_frame(receipt: Image, source: Path, polygon: dict[str, Any]) -> Image:
    """The receipt as its polygons mean it: not turned by EXIF where their width and height fit the stored pixels."""
    frame = (polygon.get("height"), polygon.get("width"))
    if frame != receipt.shape and frame == receipt.shape[::-1]:
        stored = read_image(source, page=True, turned=False)
        return stored if stored.shape == frame else receipt
    return receipt


def _reading_order(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Four corners clockwise from the upper left of the text: as they were drawn where that makes a line that is wider
    than high, so that a receipt on its side reads right, else from the image's upper left."""
    following = np.roll(points, -1, axis=0)
    area = float((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum())
    drawn = points if area > 0 else points[[0, 3, 2, 1]]
    sides = np.linalg.norm(drawn - np.roll(drawn, -1, axis=0), axis=1)
    return drawn if sides[0] + sides[2] >= sides[1] + sides[3] else _clockwise(points)


def _clockwise(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Four points sorted around their middle, from the one nearest to the image's upper left corner."""
    middle = points.mean(axis=0)
    around = points[np.argsort(np.arctan2(points[:, 1] - middle[1], points[:, 0] - middle[0]))]
    return np.roll(around, -int(around.sum(axis=1).argmin()), axis=0)


def cut_polygon(image: Image, corners: Sequence[Sequence[float]] | NDArray[np.float32]) -> Image:
    """The quadrilateral `corners` (4, 2), clockwise from the upper left, of a grey image (h, w), drawn upright."""
    points = np.asarray(corners, dtype=np.float32)
    sides = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1)  # top, right, bottom, left
    width, height = (max(1, round(float(max(sides[i], sides[i + 2])))) for i in (0, 1))
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(points, target)
    flat = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, dtype=np.uint8)

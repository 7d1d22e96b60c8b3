"""How well and how fast the lines of photographed pages are found: recall and precision at an overlap of one half.

python -m benchmarks.pages FOLDER [--threads 2] [--draw DIR]

FOLDER holds page images and `lines.tsv`: page, x0, y0, x1, y1, text by tab, in pixels. A found line counts when the
intersection of its box with a marked one is at least half of their union; each is counted once. What is
found beyond that (a page number that nobody marked) counts against precision.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError, run_main
from netchu.core.images import read_image
from netchu.reading.pages import draw_lines, find_lines, load_detector

Boxes = NDArray[np.float64]  # (n, 4) x0, y0, x1, y1


def read_marks(path: Path) -> dict[str, Boxes]:
    """Marked boxes of each page."""
    if not path.is_file():
        raise NetchuError(f"{path}: no such file; a row a line: page, x0, y0, x1, y1, text, by tab")
    marks: dict[str, list[list[float]]] = {}
    for row in path.read_text(encoding="utf-8").splitlines():
        page, *box = row.split("\t")[:5]
        marks.setdefault(page, []).append([float(value) for value in box])
    return {page: np.array(boxes) for page, boxes in marks.items()}


def matched(found: Boxes, marked: Boxes) -> int:
    """How many pairs overlap by at least one half, the best pairs first."""
    if not len(found) or not len(marked):
        return 0
    low = np.maximum(found[:, None, :2], marked[None, :, :2])
    high = np.minimum(found[:, None, 2:], marked[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (found, marked)]
    overlap = shared / (areas[0][:, None] + areas[1][None] - shared)
    pairs = 0
    while overlap.size and overlap.max() >= 0.5:
        i, j = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[i], overlap[:, j] = 0, 0
        pairs += 1
    return pairs


def main() -> None:
    """Find the lines of every page; print what was found of each page that is not perfect, and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: onnxruntime's choice")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write the pages with the lines found")
    args = parser.parse_args()
    load_detector(args.threads)
    right = found_all = marked_all = 0
    seconds: list[tuple[float, float]] = []  # by the clock, of the CPU
    for page, marked in read_marks(args.folder / "lines.tsv").items():
        photo = read_image(args.folder / page)
        start = time.perf_counter(), time.process_time()
        lines = find_lines(photo, threads=args.threads)
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        pairs = matched(np.array([line.box for line in lines], dtype=np.float64).reshape(-1, 4), marked)
        right, found_all, marked_all = right + pairs, found_all + len(lines), marked_all + len(marked)
        if pairs < max(len(lines), len(marked)):
            print(f"{page}: {len(marked)} lines, {len(lines)} found, {pairs} of them right")
        if args.draw:
            args.draw.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(args.draw / f"{Path(page).stem}.png"), draw_lines(photo, lines))
    wall, cpu = np.array(seconds).T
    print(
        f"{len(seconds)} pages, {marked_all} lines: recall {right / marked_all:.4f}, precision "
        f"{right / max(1, found_all):.4f}; seconds a page: "
        f"mean {wall.mean():.2f}, most {wall.max():.2f}, of the CPU {cpu.mean():.2f}"
    )


if __name__ == "__main__":
    run_main(main)

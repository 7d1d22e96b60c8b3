"""A folder of line images -> answers, and the competition's file `id,answer,elapsed_time`.

An id is the image's path relative to the folder, with forward slashes, e.g. `7/0.jpg`.
"""

import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from netchu.atomic import atomic_path
from netchu.ensemble import Ensemble
from netchu.errors import NetchuError
from netchu.labelfiles import find_images, read_table
from netchu.preprocess import Image, read_image

CHUNK = 512  # images held in memory at once; within it, lines of one width share batches


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read in one image; `problem` says why an image could not be read (the text is then empty)."""

    id: str
    text: str
    confidence: float
    seconds: float
    problem: str = ""


def read_folder(folder: Path, ensemble: Ensemble, *, strict: bool = False) -> list[Answer]:
    """Answers for every image below `folder`, in natural order of their ids.

    An unreadable image gets an empty text, or with `strict` raises NetchuError. Raises NetchuError for a missing
    or empty folder.
    """
    paths = find_images(folder)
    answers: list[Answer] = []
    with tqdm(total=len(paths), unit="line", desc="reading") as bar:
        for start in range(0, len(paths), CHUNK):
            answers += _read_chunk(folder, paths[start : start + CHUNK], ensemble, strict)
            bar.update(len(paths[start : start + CHUNK]))
    return answers


def _read_chunk(folder: Path, paths: Sequence[Path], ensemble: Ensemble, strict: bool) -> list[Answer]:
    opened: list[Image | None] = []
    seconds: list[float] = []
    problems: list[str] = []
    for path in paths:
        began = time.perf_counter()
        try:
            opened.append(read_image(path))
            problems.append("")
        except NetchuError as error:
            if strict:
                raise
            opened.append(None)
            problems.append(str(error))
        seconds.append(time.perf_counter() - began)
    readings = iter(ensemble.read([image for image in opened if image is not None]))
    answers = []
    for path, image, spent, problem in zip(paths, opened, seconds, problems, strict=True):
        name = path.relative_to(folder).as_posix()
        if image is None:
            answers.append(Answer(name, "", 0.0, spent, problem))
        else:
            timed = next(readings)
            answers.append(Answer(name, timed.reading.text, timed.reading.confidence, spent + timed.seconds))
    return answers


def write_submission(path: Path, answers: Iterable[Answer]) -> None:
    """Write `id,answer,elapsed_time` (seconds) atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "answer", "elapsed_time"])
        writer.writerows((a.id, a.text, f"{a.seconds:.4f}") for a in answers)


def read_labels(path: Path, folder: Path) -> dict[str, str]:
    """Labels by id from a file of `id<TAB>text` rows; raises NetchuError for an id that is no image of `folder`."""
    labels: dict[str, str] = {}
    for name, text, *_ in read_table(path):
        if not (folder / name).is_file():
            raise NetchuError(
                f"{path}: names {name}, which is not in {folder}; correct the id or give another --images folder"
            )
        if name in labels:
            raise NetchuError(f"{path}: names {name} twice; remove one of the rows")
        labels[name] = text
    return labels

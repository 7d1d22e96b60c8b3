"""A folder of line images -> answers, and the competition's file `id,answer,elapsed_time`.

An id is the image's path relative to the folder, with forward slashes, e.g. `7/0.jpg`.
"""

import csv
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from netchu.core import budget
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.image_files import find_images
from netchu.core.images import Image, read_image
from netchu.core.tables import read_table
from netchu.ctc.decoders import Reading
from netchu.reading.drawing import draw_samples
from netchu.reading.ensemble import Ensemble
from netchu.reading.predict import gather_rows
from netchu.reading.recipe import read_recipe

CHUNK = 256  # images opened at once; within it, lines of one width share batches


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read in one image; `problem` says why an image could not be read (the text is then empty)."""

    id: str
    reading: Reading
    seconds: float
    problem: str = ""

    @property
    def text(self) -> str:
        """The text alone."""
        return self.reading.text

    @property
    def confidence(self) -> float:
        """How sure the reading is, 0 to 1."""
        return self.reading.confidence


Opened = tuple[Path, Image | None, float, str]  # path, image, seconds, problem


def open_ensemble(
    bundles: Sequence[Path],
    recipe_path: Path | None,
    *,
    budget_mb: float,
    decoder: str = "greedy",
    precision: str = "auto",
    batch_size: int = 16,
) -> Ensemble:
    """The ensemble of a recipe, or of bundles; prints the sizes of all files and refuses more than the budget."""
    recipe = read_recipe(recipe_path) if recipe_path else None
    sizes = budget.measure(recipe.files if recipe else bundles)
    print(budget.table(sizes, budget_mb))
    budget.check(sizes, budget_mb)
    if recipe:
        return Ensemble.from_recipe(recipe, precision=precision, batch_size=batch_size)
    return Ensemble.load(bundles, decoder=decoder, precision=precision, batch_size=batch_size)


def read_folder(
    folder: Path, ensemble: Ensemble, *, strict: bool = False, rank: int = 0, ranks: int = 1
) -> list[Answer]:
    """Answers for every image below `folder`, in natural order of their ids; of the image alone where it is one.

    Each of `ranks` processes reads every ranks-th chunk and gets all answers. The next chunk's images are opened while
    this one's are read. An unreadable image gets an empty text, or with `strict` raises NetchuError. Raises NetchuError
    for a missing or empty folder.
    """
    paths = find_images(folder)
    folder = folder.parent if folder.is_file() else folder
    size = max(1, min(CHUNK, -(-len(paths) // ranks)))
    chunks = [paths[start : start + size] for start in range(0, len(paths), size)][rank::ranks]
    answers: list[Answer] = []
    with (
        tqdm(total=sum(map(len, chunks)), unit="line", desc="reading", disable=rank > 0) as bar,
        ThreadPoolExecutor(1) as opener,
    ):
        waiting = opener.submit(_open, chunks[0], strict) if chunks else None
        for following in [*chunks[1:], None] if chunks else []:
            assert waiting is not None
            opened = waiting.result()
            waiting = opener.submit(_open, following, strict) if following else None
            answers += _read_chunk(folder, opened, ensemble)
            bar.update(len(opened))
    if ranks > 1:
        by_id = {answer.id: answer for answer in gather_rows(answers)}
        answers = [by_id[path.relative_to(folder).as_posix()] for path in paths]
    return answers


def _open(paths: Sequence[Path], strict: bool) -> list[Opened]:
    """The images of a chunk."""
    opened: list[Opened] = []
    for path in paths:
        began = time.perf_counter()
        image, problem = None, ""
        try:
            image = read_image(path)
        except NetchuError as error:
            if strict:
                raise
            problem = str(error)
        opened.append((path, image, time.perf_counter() - began, problem))
    return opened


def _read_chunk(folder: Path, opened: Sequence[Opened], ensemble: Ensemble) -> list[Answer]:
    """Answers for opened images."""
    readings = iter(ensemble.read([image for _, image, _, _ in opened if image is not None]))
    answers = []
    for path, image, spent, problem in opened:
        name = path.relative_to(folder).as_posix()
        if image is None:
            answers.append(Answer(name, Reading("", 0.0), spent, problem))
        else:
            timed = next(readings)
            answers.append(Answer(name, timed.reading, spent + timed.seconds))
    return answers


def write_details(path: Path, answers: Iterable[Answer], accept: float | None) -> None:
    """Write one JSON object a line: id, text, confidence, whether it may be accepted unseen (null: not known), each
    character's confidence, other texts with their probabilities, seconds, and why an image could not be read."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for answer in answers:
            reading = answer.reading
            row = {
                "id": answer.id,
                "text": reading.text,
                "confidence": round(reading.confidence, 4),
                "accept": None if accept is None else reading.confidence >= accept and not answer.problem,
                "characters": [[c, round(p, 4)] for c, p in zip(reading.text, reading.characters, strict=False)],
                "alternatives": [[text, round(p, 4)] for text, p in reading.alternatives],
                "seconds": round(answer.seconds, 4),
                "problem": answer.problem,
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_submission(path: Path, answers: Iterable[Answer]) -> None:
    """Write `id,answer,elapsed_time` (seconds) atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "answer", "elapsed_time"])
        writer.writerows((a.id, a.text, f"{a.seconds:.4f}") for a in answers)


def read_labels(path: Path, folder: Path) -> dict[str, str]:
    """Labels by id from a file of `id<TAB>text` rows; raises NetchuError for an id that is no image of `folder`."""
    labels: dict[str, str] = {}
    for written, text, *_ in read_table(path):
        name = PurePosixPath(written).as_posix()  # ./1/0.jpg is 1/0.jpg
        if not (folder / name).is_file():
            raise NetchuError(
                f"{path}: names {name}, which is not in {folder}; correct the id or give another --images folder"
            )
        if name in labels:
            raise NetchuError(f"{path}: names {name} twice; remove one of the rows")
        labels[name] = text
    return labels


def draw_answers(
    path: Path, folder: Path, answers: Sequence[Answer], labels: Mapping[str, str], count: int = 16
) -> int:
    """Draw the first lines of a folder that could be read; `labels` by id, some or none. Returns how many."""
    shown = [answer for answer in answers if not answer.problem][:count]
    images = [read_image(folder / answer.id) for answer in shown]
    draw_samples(path, images, [answer.text for answer in shown], [labels.get(answer.id) for answer in shown])
    return len(shown)

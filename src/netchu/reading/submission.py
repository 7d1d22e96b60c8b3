"""A folder of line images -> answers, and the competition's file `id,answer,elapsed_time`.

An id is the image's path relative to the folder, with forward slashes, e.g. `7/0.jpg`.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import write_text
from netchu.core.image_files import find_images
from netchu.core.images import read_image
from netchu.core.tables import csv_text, read_table
from netchu.ctc.decoders import Reading
from netchu.reading.drawing import draw_samples
from netchu.reading.ensemble import Ensemble, Prepared
from netchu.reading.kept_answers import Answer, KeptAnswers

CHUNK = 32  # images that one worker opens, reduces and reads before it hands their answers in
WORKERS = 8  # at most, each with a line's activations in memory


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_folder(folder: Path, ensemble: Ensemble, **options: Any) -> list[Answer]:
    """Answers for every image below `folder`, in natural order of their ids; of the image alone where it is one.

    `options`: see `read_images`. Raises NetchuError for a missing or empty folder.
    """
    paths, root = images_of(folder)
    return read_images([(path, path.relative_to(root).as_posix()) for path in paths], ensemble, **options)


def read_images(
    images: Sequence[tuple[Path, str]],
    ensemble: Ensemble,
    *,
    strict: bool = False,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
    kept: KeptAnswers | None = None,
    quiet: bool = False,
    details: bool = True,
) -> list[Answer]:
    """Answers for (file, id) of each image, in order; `quiet`: without a bar. Without `details` they lack the
    characters' confidences and the alternatives, which take some 3 kB a line.

    Each of `workers` threads (0: as many as there are cores) opens, reduces and reads CHUNK images at a time, so that
    opening, network and decoding overlap and no more than one image a thread is held at its full size. Each of `ranks`
    processes reads every ranks-th chunk and gets all answers. What `kept` holds is not read again; what is read is
    kept there. An unreadable image gets an empty text, or with `strict` raises NetchuError.
    """
    done = {answer.id: _held(answer, details) for answer in (kept.take() if kept else ())}
    paths, names = [path for path, _ in images], [name for _, name in images]
    size = max(1, min(CHUNK, -(-len(paths) // (ranks * (workers or cores())))))
    chunks = [range(start, min(start + size, len(paths))) for start in range(0, len(paths), size)][rank::ranks]
    mine = [i for chunk in chunks for i in chunk]
    waiting = [[i for i in chunk if names[i] not in done] for chunk in chunks]
    queue = iter([chunk for chunk in waiting if chunk])
    found = {names[i]: done[names[i]] for i in mine if names[i] in done}
    count = min(WORKERS, workers or cores())
    pool = ThreadPoolExecutor(count)
    bar = tqdm(total=len(mine), initial=len(found), unit="line", desc="reading", disable=quiet or rank > 0)

    def submit(chunk: list[int]) -> Future[list[Answer]]:
        return pool.submit(_read_chunk, [(names[i], paths[i]) for i in chunk], ensemble, strict)

    running = {submit(chunk) for chunk in islice(queue, 2 * count)}
    try:
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                answers = future.result()
                running |= {submit(chunk) for chunk in islice(queue, 1)}
                if kept:
                    kept.add(answers)
                found.update((answer.id, _held(answer, details)) for answer in answers)
                bar.update(len(answers))
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    if ranks > 1:
        from netchu.model.predict import gather_rows

        found = {answer.id: answer for answer in gather_rows(list(found.values()))}
    return [found[name] for name in names]


def _held(answer: Answer, details: bool) -> Answer:
    """An answer, without its details where nobody wants them."""
    return answer if details else replace(answer, reading=replace(answer.reading, characters=(), alternatives=()))


def images_of(folder: Path) -> tuple[list[Path], Path]:
    """(images in natural order, the folder that their ids are relative to) of a folder or of one image file."""
    return find_images(folder), folder.parent if folder.is_file() else folder


def _read_chunk(images: Sequence[tuple[str, Path]], ensemble: Ensemble, strict: bool) -> list[Answer]:
    """Answers for the images of these ids; each is reduced before the next one is opened."""
    prepared: list[Prepared] = []
    problems: dict[str, tuple[str, float]] = {}
    for name, path in images:
        began = time.perf_counter()
        try:
            line = ensemble.prepare(read_image(path, strict=strict))
            problem = f"{path}: {line.problem}" if line.problem else ""
        except NetchuError as error:
            problem = str(error)
        except MemoryError:
            problem = f"{path}: does not fit in memory; reduce it"
        spent = time.perf_counter() - began
        if not problem:
            prepared.append(replace(line, seconds=spent))
        elif strict:
            raise NetchuError(problem)
        else:
            problems[name] = problem, spent
    readings = iter(ensemble.read_prepared(prepared))
    answers = []
    for name, _ in images:
        if name in problems:
            problem, spent = problems[name]
            answers.append(Answer(name, Reading("", 0.0, accept=False), spent, problem))
        else:
            timed = next(readings)
            answers.append(Answer(name, timed.reading, timed.seconds))
    return answers


def report_unread(problems: Sequence[str], count: int) -> int:
    """The exit status of a command that has read `count` images: 0, or 1 when some had a problem, which it says to
    standard error. Raises NetchuError with the first one when none could be read."""
    if len(problems) == count:
        raise NetchuError(problems[0])
    if problems:
        print(f"warning: {len(problems)} images could not be read; the first: {problems[0]}", file=sys.stderr)
    return int(bool(problems))


def describe(answer: Answer) -> dict[str, Any]:
    """An answer as a JSON-ready mapping, see `write_details`."""
    reading = answer.reading
    return {
        "id": answer.id,
        "text": reading.text,
        "confidence": round(reading.confidence, 4),
        "accept": reading.accept,
        "characters": [[c, round(p, 4)] for c, p in zip(reading.text, reading.characters, strict=False)],
        "alternatives": [[text, round(p, 4)] for text, p in reading.alternatives],
        "seconds": round(answer.seconds, 4),
        "problem": answer.problem,
    }


def write_details(path: Path, answers: Iterable[Answer]) -> None:
    """Write one JSON object a line: id, text, confidence, whether it may be accepted unseen (null: not known), each
    character's confidence, other texts with their probabilities, seconds, and why an image could not be read."""
    write_text(path, "".join(json.dumps(describe(answer), ensure_ascii=False) + "\n" for answer in answers))


def write_submission(path: Path, answers: Iterable[Answer]) -> None:
    """Write `id,answer,elapsed_time` (seconds) atomically."""
    rows = [(a.id, a.text, f"{a.seconds:.4f}") for a in answers]
    write_text(path, csv_text(("id", "answer", "elapsed_time"), rows))


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

"""The manifest: a CSV with one line image a row, and the folds that are recorded in it.

Columns `img_path,text,writer_id,fold` as in the competition's `train_folds.csv`, then `source` (which data set) and
`aug` (empty for a real line, `helping` for handwriting of another kind, else the generator that made it). Paths are
relative to the manifest's own folder or absolute. Folds 0-4 keep all lines of a writer together; fold -1 is a line
that is only ever trained on.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from netchu.core.errors import NetchuError
from netchu.core.files import hash_file
from netchu.core.tables import plain_label
from netchu.data.frames import read_frame, write_frame

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
TRAIN_ONLY = -1
HELPING = "helping"  # in `aug`: real handwriting that only helps to train, such as that of another language
ANSWERS = "answers"  # in `aug`: real handwriting that a model has labelled
FOUND = ("", HELPING, ANSWERS)  # in `aug` of lines whose image was found and not made
COLUMNS = {"img_path": str, "text": str, "writer_id": str, "fold": int, "source": str, "aug": str}
REQUIRED = ("img_path", "text", "writer_id", "fold")  # as in the competition's own files
GUESSED = "hand~"  # begins a `writer_id` that stands for lines of a like hand and no known person


@dataclass(frozen=True, slots=True)
class Line:
    """One line image and its label (NFC). An empty `writer_id` means that the writer is unknown."""

    path: Path
    text: str
    writer_id: str = ""
    fold: int = TRAIN_ONLY
    source: str = ""
    aug: str = ""

    @property
    def is_real(self) -> bool:
        """Whether it is one of the lines that a model is for; synthetic and helping lines are never validated on."""
        return not self.aug

    @property
    def is_helping(self) -> bool:
        """Whether it is handwriting of another kind, which is only trained on."""
        return self.aug == HELPING

    @property
    def is_found(self) -> bool:
        """Whether its image was found and not made, so that another line may have the same one."""
        return self.aug in FOUND

    @property
    def origin(self) -> str:
        """What a line made from this one is traced by: source and writer, or source and image for unknown writers."""
        return f"{self.source}/{self.writer_id or self.path.stem}"

    @property
    def has_guessed_writer(self) -> bool:
        """Whether its writer is a group of lines whose hands look alike."""
        return self.writer_id.startswith(GUESSED)


def read_manifest(path: Path | str) -> "pd.DataFrame":
    """A manifest as a table, a line image a row, with the columns `COLUMNS`.

    `img_path`: from the folder that the program runs in; `text`: NFC on one line; `writer_id`, `source`, `aug`: empty
    where there is none (`source` and `aug` may be missing, as in the competition's own files); `fold`: int64, -1 to 4.
    Raises NetchuError naming the file and the row for a missing file or column, a row of another length, or a bad
    fold. Whether the images are there and the labels not empty is seen when they are used (and by `netchu check`).
    """
    table = read_raw_manifest(Path(path))
    return table.assign(text=table.text.map(plain_label))


def read_raw_manifest(path: Path) -> "pd.DataFrame":
    """`read_manifest` with the labels as they stand in the file."""
    optional = set(COLUMNS) - set(REQUIRED)
    table = read_frame(path, COLUMNS, "manifest", "make one with prepare_ext_data.py", optional)
    for row, (image, fold) in enumerate(zip(table.img_path, table.fold, strict=True), 2):
        if not image:
            raise NetchuError(f"{path}:{row}: img_path is empty")
        if not TRAIN_ONLY <= fold < FOLDS:
            raise NetchuError(f"{path}:{row}: fold is {fold}; expected -1 to {FOLDS - 1}")
    return table.assign(img_path=[str(path.parent / image) for image in table.img_path])


def read_lines(path: Path) -> list[Line]:
    """The lines of a manifest one by one; see `read_manifest`."""
    return to_lines(read_manifest(path))


def to_lines(table: "pd.DataFrame") -> list[Line]:
    """The rows of such a table as lines."""
    columns = (table[name].tolist() for name in COLUMNS)
    return [Line(Path(image), *fields) for image, *fields in zip(*columns, strict=True)]


def to_table(lines: Iterable[Line]) -> "pd.DataFrame":
    """Lines as such a table."""
    import pandas as pd

    rows = [(str(line.path), line.text, line.writer_id, line.fold, line.source, line.aug) for line in lines]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object).astype({"fold": "int64"})


def write_manifest(path: Path, lines: Iterable[Line]) -> None:
    """Write a manifest atomically, with image paths relative to its folder."""
    here = path.parent.absolute()
    table = to_table(lines)
    table["img_path"] = [Path(os.path.relpath(Path(image).absolute(), here)).as_posix() for image in table.img_path]
    write_frame(path, table)


def split(lines: Sequence[Line], fold: int) -> tuple[list[Line], list[Line]]:
    """(training lines, held-out real lines) of a fold; fold 5 holds nothing out."""
    train = [line for line in lines if line.fold != fold]
    held_out = [line for line in lines if line.fold == fold and line.is_real]
    return train, held_out


def assign_folds(lines: Sequence[Line], seed: int) -> list[Line]:
    """Give every real line one of 5 folds, writers kept whole and sources spread evenly.

    Synthetic lines stay as they are. A line of an unknown writer is grouped with its identical copies only. Raises
    NetchuError with under 5 groups.
    """
    real = [i for i, line in enumerate(lines) if line.is_real]
    groups = [_group(lines[i]) for i in real]
    if len(set(groups)) < FOLDS:
        raise NetchuError(
            f"{len(set(groups))} writers are too few for {FOLDS} writer-disjoint folds; add lines of more writers"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # a second to import, and only new folds want it

    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    result = list(lines)
    for fold, (_, held_out) in enumerate(splitter.split(real, [lines[i].source for i in real], groups)):
        for position in held_out:
            result[real[position]] = replace(lines[real[position]], fold=fold)
    return result


def keep_folds(lines: Sequence[Line], recorded: Sequence[Line]) -> list[Line]:
    """Folds as recorded for known images and writers; each new writer joins the fold that has the fewest lines.

    Groups of like hands are recorded as well, and stay.
    """
    groups = {line.path.resolve(): line.writer_id for line in recorded if line.has_guessed_writer}
    lines = [line if line.writer_id else replace(line, writer_id=groups.get(line.path.resolve(), "")) for line in lines]
    by_image = {line.path.resolve(): line.fold for line in recorded}
    by_group = {_group(line): line.fold for line in recorded}
    result = []
    for line in lines:
        fold = by_image.get(line.path.resolve(), by_group.get(_group(line)))
        result.append(line if fold is None else replace(line, fold=fold))
    sizes = Counter(line.fold for line in result)
    for group, count in Counter(_group(line) for line in result if line.fold == TRAIN_ONLY and line.is_real).items():
        by_group[group] = min(range(FOLDS), key=lambda fold: sizes[fold])
        sizes[by_group[group]] += count
    return [
        replace(line, fold=by_group[_group(line)]) if line.fold == TRAIN_ONLY and line.is_real else line
        for line in result
    ]


def inherit_folds(synthetic: Sequence[Line], real: Sequence[Line]) -> list[Line]:
    """Give synthetic lines whose writer is some real line's `origin` that line's fold; others stay on -1.

    So lines recombined from a writer are left out of training whenever that writer is held out. Raises NetchuError
    when a synthetic line's origin names real lines of several folds: images of unknown writers with the same file name.
    """
    folds: dict[str, set[int]] = defaultdict(set)
    for line in real:
        folds[line.origin].add(line.fold)
        if line.has_guessed_writer:  # what was made before the hands were grouped names the image
            folds[replace(line, writer_id="").origin].add(line.fold)
    for line in synthetic:
        if len(folds.get(line.writer_id, ())) > 1:
            raise NetchuError(
                f"{line.path}: was made from {line.writer_id}, which names real lines of several folds; give the real "
                "lines writers or different file names, and make it again"
            )
    return [replace(line, fold=next(iter(folds.get(line.writer_id, {TRAIN_ONLY})))) for line in synthetic]


def leave_copies_out(others: Sequence[Line], real: Sequence[Line]) -> list[Line]:
    """The lines less those of a real line's image: helping lines, and answers to lines that a person has labelled
    since. They would be learnt from while their fold is held out."""
    if not any(line.is_found for line in others):
        return list(others)
    known = {image_hash(line.path) for line in real}
    return [line for line in others if not (line.is_found and image_hash(line.path) in known)]


def _group(line: Line) -> str:
    """What must stay on one side of every fold: a writer, or for an unknown one the identical images."""
    return f"{line.source}/{line.writer_id}" if line.writer_id else image_hash(line.path)


@dataclass(frozen=True, slots=True)
class Leak:
    """Lines on both sides of a fold: all of one writer (`origin`), or identical images; `message` is one line."""

    message: str
    lines: tuple[Line, ...]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What the folds share: `leaks` must not be, the counts are only worth knowing."""

    leaks: list[Leak]
    shared_texts: int
    unknown_writers: int


def find_leaks(lines: Sequence[Line]) -> LeakReport:
    """Writers or identical images on both sides of a fold, and how many texts stand in several folds.

    Synthetic lines that were drawn from a real writer (see `inherit_folds`) count as that writer's. Identical images
    are looked for among real lines, and between these and helping lines or a model's answers.
    """
    table = to_table(lines).assign(line=list(lines))
    real = table[table.aug == ""]
    origins = {line.origin for line in real.line if line.writer_id}
    table["origin"] = [line.origin if line.is_real and line.writer_id else line.writer_id for line in lines]
    leaks = []
    for origin, own in table[table.origin.isin(origins)].groupby("origin"):
        folds = sorted(own.fold.unique().tolist())
        if len(folds) > 1:
            leaks.append(Leak(f"writer {origin} is in folds {folds}", tuple(own.line), str(origin)))
    found = table[table.aug.isin(FOUND)]
    for _, copies in found.groupby(found.line.map(lambda line: image_hash(line.path)), sort=False):
        if copies.fold.nunique() > 1 and (copies.aug == "").any():
            names = " and ".join(f"{line.path} (fold {line.fold})" for line in copies.line[:2])
            leaks.append(Leak(f"identical images: {names}", tuple(copies.line)))
    return LeakReport(
        leaks=leaks,
        shared_texts=int((real.groupby("text").fold.nunique() > 1).sum()),
        unknown_writers=int((real.writer_id == "").sum()),
    )


def refuse_leaks(lines: Sequence[Line], where: Path) -> LeakReport:
    """The leak report; raises NetchuError with the first leak when there is any."""
    report = find_leaks(lines)
    if report.leaks:
        first, more = report.leaks[0], f" (and {len(report.leaks) - 1} more)" if len(report.leaks) > 1 else ""
        remedy = "run prepare_ext_data.py again, which leaves such copies out"
        if first.origin or all(line.is_real for line in first.lines):
            remedy = "make the folds again: prepare_ext_data.py --new-folds"
        raise NetchuError(f"{where}: leak between folds: {first.message}{more}; {remedy}")
    return report


def image_hash(path: Path) -> str:
    """SHA-256 of the file; raises NetchuError when it cannot be read."""
    try:
        return hash_file(path)
    except OSError as error:
        raise NetchuError(
            f"{path}: image cannot be read ({error.strerror}); correct the path or remove the row"
        ) from error


def summary(lines: Sequence[Line]) -> str:
    """Lines by source and fold, one row a source."""
    rows = []
    for source, own in to_table(lines).replace({"source": {"": "?"}}).groupby("source"):
        folds = "  ".join(f"{fold}: {count}" for fold, count in own.fold.value_counts().sort_index().items())
        rows.append(f"{source}: {len(own)} lines, by fold {folds}")
    return "\n".join(rows)

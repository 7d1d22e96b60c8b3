"""The manifest: a CSV with one line image a row, and the folds that are recorded in it.

Columns `img_path,text,writer_id,fold` as in the competition's `train_folds.csv`, then `source` (which data set) and
`aug` (empty for a real line, `helping` for handwriting of another kind, else the generator that made it). Paths are
relative to the manifest's own folder or absolute. Folds 0-4 keep all lines of a writer together; fold -1 is a line
that is only ever trained on.
"""

import csv
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.tables import plain_label

FOLDS = 5
TRAIN_ONLY = -1
HELPING = "helping"  # in `aug`: real handwriting that only helps to train, such as that of another language
COLUMNS = ("img_path", "text", "writer_id", "fold", "source", "aug")
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
    def origin(self) -> str:
        """What a line made from this one is traced by: source and writer, or source and image for unknown writers."""
        return f"{self.source}/{self.writer_id or self.path.stem}"

    @property
    def has_guessed_writer(self) -> bool:
        """Whether its writer is a group of lines whose hands look alike."""
        return self.writer_id.startswith(GUESSED)


def read_manifest(path: Path) -> list[Line]:
    """Lines of a manifest. `source` and `aug` may be missing, as in the competition's own files.

    Raises NetchuError naming the file and the row for a missing file or column, a row of another length, or a bad
    fold. Whether the images are there and the labels not empty is seen when they are used (and by `netchu check`).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [c for c in COLUMNS[:4] if c not in (reader.fieldnames or ())]
            if missing:
                raise NetchuError(f"{path}: no column {missing[0]!r}; expected {','.join(COLUMNS)}")
            lines = [_line(row, path, number) for number, row in enumerate(reader, 2)]
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such manifest; make one with prepare_ext_data.py") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NetchuError(f"{path}: cannot be read as a CSV in UTF-8 ({error})") from error
    if not lines:
        raise NetchuError(f"{path}: has no rows; make it again with prepare_ext_data.py")
    return lines


def _line(row: dict[str, str | None], path: Path, number: int) -> Line:
    where = f"{path}:{number}"
    image = row["img_path"] or ""
    if not image:
        raise NetchuError(f"{where}: img_path is empty")
    if row["text"] is None or row["fold"] is None:
        raise NetchuError(f"{where}: has fewer columns than the header; correct this row")
    if None in row:
        raise NetchuError(f"{where}: has more columns than the header; quote texts that hold a comma")
    try:
        fold = int(row["fold"])
    except ValueError:
        raise NetchuError(f"{where}: fold is {row['fold']!r}; expected -1 to {FOLDS - 1}") from None
    if not TRAIN_ONLY <= fold < FOLDS:
        raise NetchuError(f"{where}: fold is {fold}; expected -1 to {FOLDS - 1}")
    return Line(
        path=path.parent / image,
        text=plain_label(row["text"]),
        writer_id=row["writer_id"] or "",
        fold=fold,
        source=row.get("source") or "",
        aug=row.get("aug") or "",
    )


def write_manifest(path: Path, lines: Iterable[Line]) -> None:
    """Write a manifest atomically, with image paths relative to its folder."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for line in lines:
            relative = Path(os.path.relpath(line.path.absolute(), path.parent.absolute())).as_posix()
            writer.writerow([relative, line.text, line.writer_id, line.fold, line.source, line.aug])


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

    Synthetic lines that were drawn from a real writer (see `inherit_folds`) count as that writer's.
    """
    writers: dict[str, list[Line]] = defaultdict(list)
    images: dict[str, list[Line]] = defaultdict(list)
    texts: dict[str, set[int]] = defaultdict(set)
    for line in lines:
        if line.is_real:
            images[image_hash(line.path)].append(line)
            texts[line.text].add(line.fold)
            if line.writer_id:
                writers[line.origin].append(line)
    for line in lines:
        if not line.is_real and line.writer_id in writers:
            writers[line.writer_id].append(line)
    leaks = []
    for origin, theirs in sorted(writers.items()):
        folds = sorted({line.fold for line in theirs})
        if len(folds) > 1:
            leaks.append(Leak(f"writer {origin} is in folds {folds}", tuple(theirs), origin))
    for copies in images.values():
        if len({line.fold for line in copies}) > 1:
            names = " and ".join(f"{line.path} (fold {line.fold})" for line in copies[:2])
            leaks.append(Leak(f"identical images: {names}", tuple(copies)))
    return LeakReport(
        leaks=leaks,
        shared_texts=sum(len(folds) > 1 for folds in texts.values()),
        unknown_writers=sum(not line.writer_id for line in lines if line.is_real),
    )


def refuse_leaks(lines: Sequence[Line], where: Path) -> LeakReport:
    """The leak report; raises NetchuError with the first leak when there is any."""
    report = find_leaks(lines)
    if report.leaks:
        more = f" (and {len(report.leaks) - 1} more)" if len(report.leaks) > 1 else ""
        raise NetchuError(
            f"{where}: leak between folds: {report.leaks[0].message}{more}; make the folds again: prepare_ext_data.py "
            "--new-folds"
        )
    return report


def image_hash(path: Path) -> str:
    """SHA-256 of the file; raises NetchuError when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise NetchuError(
            f"{path}: image cannot be read ({error.strerror}); correct the path or remove the row"
        ) from error


def summary(lines: Sequence[Line]) -> str:
    """Lines by source and fold, one row a source."""
    counts = Counter((line.source or "?", line.fold) for line in lines)
    rows = []
    for source in sorted({s for s, _ in counts}):
        folds = "  ".join(
            f"{fold}: {counts[source, fold]}" for fold in range(TRAIN_ONLY, FOLDS) if counts[source, fold]
        )
        rows.append(f"{source}: {sum(n for (s, _), n in counts.items() if s == source)} lines, by fold {folds}")
    return "\n".join(rows)

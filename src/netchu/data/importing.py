"""From data sets to the two manifests: read every source, record the folds, refuse leaks, write.

`train_folds.csv` holds the real lines in 5 writer-disjoint folds, which stay as they are once written;
`train_ext.csv` the same and all synthetic and helping lines, which are only trained on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.core.image_files import is_file
from netchu.data.layouts import COLUMNS, READERS, find_sets
from netchu.data.manifest import (
    HELPING,
    Line,
    assign_folds,
    inherit_folds,
    keep_folds,
    leave_copies_out,
    read_lines,
    refuse_leaks,
    summary,
    write_manifest,
)


def parse_columns(items: Sequence[str], sources: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """`["image=img_id", "text=anno"]` as a mapping; raises NetchuError for another word than image, text, writer, and
    where no data set of the `sources` (see `read_sources`) has columns."""
    columns = {}
    for item in items:
        key, equals, name = item.partition("=")
        if key not in COLUMNS or not equals or not name:
            raise NetchuError(f"--columns {item}: expected {'=NAME, '.join(COLUMNS)}=NAME")
        columns[key] = name
    layouts = {name for layout, path in (sources if columns else ()) for name, _ in find_sets(path, layout)}
    if columns and not any("columns" in READERS[name].takes for name in layouts):
        raise NetchuError(f"--columns {' '.join(items)}: is of CSV and parquet, and none is given; leave it out")
    return columns


def read_sources(sources: Iterable[tuple[str, Path]], images: Path, columns: Mapping[str, str]) -> list[Line]:
    """Lines of every (layout, path); with an empty layout, of every data set that is found at the path or below it.

    Raises NetchuError when there is none at all.
    """
    lines: list[Line] = []
    for layout, path in sources:
        for name, folder in find_sets(path, layout):
            found = READERS[name](folder, images=images, columns=columns)
            if not layout:
                print(f"{folder}: {name}, {len(found)} lines")
            lines += found
    if not lines:
        raise NetchuError("no data set given; for example --kalapa DIR, or a path alone to have its layout detected")
    return lines


def read_helping(paths: Iterable[Path], images: Path, columns: Mapping[str, str]) -> list[Line]:
    """Lines of every data set at or below the paths as helping lines: only trained on, in no fold."""
    sources = [found for path in paths for found in find_sets(path)]
    return [replace(line, aug=HELPING) for line in read_sources(sources, images, columns)] if sources else []


def write_manifests(lines: Iterable[Line], out: Path, *, seed: int, new_folds: bool) -> list[Line]:
    """Write both manifests into `out`, print what is in them, and return the lines with their folds.

    Folds that `train_folds.csv` has already recorded are kept unless `new_folds`. Raises NetchuError for a leak.
    """
    lines = list(lines)
    real = [line for line in lines if line.is_real]
    others = leave_copies_out([line for line in lines if not line.is_real], real)
    if left_out := len(lines) - len(real) - len(others):
        print(f"{left_out} lines that are only trained on have the image of a real line, and are left out")
    synthetic = [line for line in others if not line.is_helping]
    helping = [line for line in others if line.is_helping]
    folds_path, ext_path = out / "train_folds.csv", out / "train_ext.csv"
    if real:
        recorded = read_lines(folds_path) if folds_path.is_file() and not new_folds else []
        for line in recorded:
            if not line.writer_id and not is_file(line.path):
                raise NetchuError(
                    f"{folds_path}: records {line.path}, which is gone: the fold of its copies cannot be told; add the "
                    "image, remove its row there, or give --new-folds"
                )
        real = keep_folds(real, recorded) if recorded else assign_folds(real, seed)
        synthetic = inherit_folds(synthetic, real)
        leaks = refuse_leaks(real + synthetic, ext_path)
        write_manifest(folds_path, real)
        how = "folds kept as recorded" if recorded else f"new folds (seed {seed})"
        said = f"  {leaks.shared_texts} texts stand in several folds; {leaks.unknown_writers} lines have no writer"
        if leaks.unknown_writers:
            said += ", so the same hand may be on both sides of a fold: --group-hands BUNDLE --new-folds"
        if guessed := sum(line.has_guessed_writer for line in real):
            said += f"; the writers of {guessed} lines are groups of like hands"
        print(f"{folds_path}: {len(real)} real lines, {how}\n{said}")
    written = real + synthetic + helping
    write_manifest(ext_path, written)
    kinds = f"{len(real)} real, {len(synthetic)} synthetic and {len(helping)} helping lines"
    print(f"{ext_path}: {kinds}\n{summary(written)}")
    charset = Charset.from_texts(line.text for line in written)
    print(f"charset: {len(charset) - 1} characters: {charset.characters}")
    return written

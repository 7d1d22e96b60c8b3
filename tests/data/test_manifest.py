"""Folds are writer-disjoint and recorded; leaks are refused; a bad row is named."""

import re
import shutil
import unicodedata
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

import netchu.data
from netchu.core.errors import NetchuError
from netchu.data.importing import write_manifests
from netchu.data.manifest import (
    ANSWERS,
    HELPING,
    Line,
    assign_folds,
    find_leaks,
    inherit_folds,
    keep_folds,
    read_lines,
    refuse_leaks,
    split,
    summary,
    to_lines,
    to_table,
    write_manifest,
)  # fmt: skip
from netchu.data.table import read_labels_tsv

HEADER = "img_path,text,writer_id,fold\n"


@pytest.fixture
def lines(lines_folder: Path) -> list[Line]:
    return assign_folds(read_labels_tsv(lines_folder), seed=0)


def test_folds_keep_writers_whole_and_use_every_line(lines: list[Line]) -> None:
    folds = defaultdict(set)
    for line in lines:
        folds[line.writer_id].add(line.fold)
    assert all(len(found) == 1 for found in folds.values())
    assert {line.fold for line in lines} == {0, 1, 2, 3, 4}
    for fold in range(5):
        train, held_out = split(lines, fold)
        assert len(train) + len(held_out) == len(lines)
        assert not {line.writer_id for line in train} & {line.writer_id for line in held_out}


def test_folds_repeat_with_the_seed(lines_folder: Path) -> None:
    lines = read_labels_tsv(lines_folder)
    assert assign_folds(lines, seed=3) == assign_folds(lines, seed=3)


def test_unknown_writers_keep_identical_images_together(lines: list[Line], tmp_path: Path) -> None:
    copies = []
    for i, line in enumerate(lines[:12]):
        for copy in "ab":
            path = tmp_path / f"{i}{copy}.jpg"
            shutil.copy(line.path, path)
            copies.append(replace(line, path=path, writer_id="", fold=-1))
    result = assign_folds(copies, seed=0)
    assert all(result[i].fold == result[i + 1].fold for i in range(0, len(result), 2))
    assert find_leaks(result).unknown_writers == len(copies)


def test_recorded_folds_stay_when_data_is_added(lines: list[Line]) -> None:
    """Half of writer 0 is known, writers 1 and 2 are new and join the smallest folds."""
    recorded = [replace(line, fold=4) for line in lines[:4]] + [line for line in lines if line.writer_id > "2"]
    again = keep_folds([replace(line, fold=-1) for line in lines], recorded)
    folds = {line.writer_id: line.fold for line in again}
    assert folds["0"] == 4
    assert all(line.fold == folds[line.writer_id] >= 0 for line in again)
    assert [line.fold for line in again if line.writer_id > "2"] == [line.fold for line in recorded[4:]]
    assert folds["1"] != folds["2"]


def test_synthetic_lines_are_never_validated_on(lines: list[Line]) -> None:
    made = [replace(line, aug="address", fold=0, writer_id="") for line in lines[:5]]
    train, held_out = split(lines + made, 0)
    assert all(line.is_real for line in held_out)
    assert not any(line.aug and line.fold == 0 for line in train)


def test_writer_on_both_sides_is_refused(lines: list[Line], tmp_path: Path) -> None:
    leaking = [replace(lines[0], fold=(lines[0].fold + 1) % 5), *lines[1:]]
    with pytest.raises(NetchuError, match=re.escape(f"writer {lines[0].source}/{lines[0].writer_id} is in folds")):
        refuse_leaks(leaking, tmp_path / "x.csv")


def test_synthetic_line_of_a_held_out_writer_is_refused(lines: list[Line], tmp_path: Path) -> None:
    recombined = replace(lines[0], aug="recombined", writer_id=lines[0].origin, fold=-1)
    with pytest.raises(NetchuError, match=f"writer {lines[0].origin} is in folds"):
        refuse_leaks([*lines, recombined], tmp_path / "x.csv")
    assert not find_leaks([*lines, *inherit_folds([recombined], lines)]).leaks


def test_synthetic_lines_inherit_the_fold_of_their_writer_or_image(lines: list[Line]) -> None:
    unknown = replace(lines[9], writer_id="", source="scans")
    made = [replace(lines[0], aug="aug", writer_id=writer) for writer in (lines[0].origin, unknown.origin, "mali-0001")]
    assert [line.fold for line in inherit_folds(made, [*lines, unknown])] == [lines[0].fold, unknown.fold, -1]


def test_a_synthetic_line_whose_origin_is_not_one_fold_is_refused(lines: list[Line]) -> None:
    real = [replace(lines[0], path=Path(f"{n}/0.jpg"), writer_id="", source="scans", fold=n) for n in (1, 2)]
    with pytest.raises(NetchuError, match="was made from scans/0, which names real lines of several folds"):
        inherit_folds([replace(lines[0], aug="aug", writer_id="scans/0")], real)


def test_identical_images_in_two_folds_are_refused(lines: list[Line], tmp_path: Path) -> None:
    copy = tmp_path / "copy.jpg"
    shutil.copy(lines[0].path, copy)
    duplicate = replace(lines[0], path=copy, writer_id="someone else", fold=(lines[0].fold + 1) % 5)
    with pytest.raises(NetchuError, match="identical images"):
        refuse_leaks([*lines, duplicate], tmp_path / "x.csv")


@pytest.mark.parametrize("kind", [HELPING, ANSWERS])
def test_a_real_lines_image_is_not_learnt_from_as_another_kind(kind: str, lines: list[Line], tmp_path: Path) -> None:
    copy = Line(tmp_path / "copy.jpg", "x", source="more", aug=kind)
    shutil.copy(lines[0].path, copy.path)
    with pytest.raises(NetchuError, match=r"identical images: .* run prepare_ext_data.py again, which leaves such"):
        refuse_leaks([*lines, copy], tmp_path / "x.csv")
    other = Line(tmp_path / "other.jpg", "x", source="more", aug=kind)
    other.path.write_bytes(b"another image")
    write_manifests([*lines, copy, other], tmp_path / "data", seed=0, new_folds=False)
    made = [line for line in read_lines(tmp_path / "data" / "train_ext.csv") if not line.is_real]
    assert [line.path.name for line in made] == ["other.jpg"]


def test_a_recorded_image_that_is_gone_is_said_with_its_file(lines: list[Line], tmp_path: Path) -> None:
    unknown = [replace(line, writer_id="", path=tmp_path / f"{i}.jpg") for i, line in enumerate(lines[:8])]
    for line, own in zip(lines, unknown, strict=False):
        shutil.copy(line.path, own.path)
    write_manifests(unknown, tmp_path / "data", seed=0, new_folds=False)
    unknown[3].path.unlink()
    rest = unknown[:3] + unknown[4:]
    with pytest.raises(NetchuError, match=r"data.train_folds\.csv: records .*3\.jpg, which is gone.* remove its row"):
        write_manifests(rest, tmp_path / "data", seed=0, new_folds=False)


def test_shared_texts_are_only_counted(lines: list[Line]) -> None:
    report = find_leaks(lines)
    assert report.leaks == []
    assert report.shared_texts == 8


def test_manifest_round_trips_with_relative_paths(lines: list[Line], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "train_folds.csv"
    write_manifest(path, lines)
    assert str(lines[0].path.parent) not in path.read_text(encoding="utf-8").splitlines()[1].split(",")[0][:3]
    again = read_lines(path)
    assert [line.path.resolve() for line in again] == [line.path.resolve() for line in lines]
    assert [replace(line, path=Path()) for line in again] == [replace(line, path=Path()) for line in lines]
    assert "48 lines" in summary(lines)


TEXTS = ["NA", "", "null", "007", "1e5", "nan", " Số 5, Lê Lợi ", 'ngõ "5"', "a\tb", "True", "Huê\u0301"]


def test_a_notebook_gets_the_manifest_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(path, [Line(tmp_path / f"{i}.png", text, f"0{i}", i % 5, "NA") for i, text in enumerate(TEXTS)])
    table = netchu.data.read_manifest(str(path))
    assert list(table.columns) == ["img_path", "text", "writer_id", "fold", "source", "aug"]
    assert table.text.tolist() == [unicodedata.normalize("NFC", text).replace("\t", " ").strip() for text in TEXTS]
    assert table.fold.dtype == "int64" and table.groupby("fold").size().sum() == len(TEXTS)
    assert table.writer_id[0] == "00" and set(table.source) == {"NA"} and set(table.aug) == {""}
    assert to_lines(to_table(read_lines(path))) == to_lines(table) == read_lines(path)


def test_competition_file_without_source_and_aug_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train_folds.csv"
    path.write_text(HEADER + "a/0.jpg,Hà Nội,7,2\n", encoding="utf-8")
    assert read_lines(path) == [Line(tmp_path / "a/0.jpg", "Hà Nội", "7", 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("img_path,text\na,b\n", "no column 'writer_id'"),
        (HEADER, "has no rows"),
        (HEADER + "a.jpg,x,1,first\n", ":2: fold is 'first'"),
        (HEADER + "a.jpg,x,1,5\n", ":2: fold is 5"),
        (HEADER + "a.jpg,x,1,0.5\n", ":2: fold is '0.5'"),
        (HEADER + "a.jpg,x,1,inf\n", ":2: fold is 'inf'"),
        (HEADER + "a.jpg,x,1,0\n,x,1,0\n", ":3: img_path is empty"),
        (HEADER + "a.jpg,x\n", ":2: has fewer columns"),
    ],
)
def test_bad_manifest_names_the_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NetchuError, match=re.escape(message)):
        read_lines(path)


def test_missing_manifest_and_missing_image(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match=r"no such manifest; make one with prepare_ext_data\.py"):
        read_lines(tmp_path / "none.csv")
    with pytest.raises(NetchuError, match="image cannot be read"):
        find_leaks([Line(tmp_path / "none.jpg", "x", "1", 0)])


def test_too_few_writers_for_folds(lines: list[Line]) -> None:
    with pytest.raises(NetchuError, match="2 writers are too few"):
        assign_folds([line for line in lines if line.writer_id in "01"], seed=0)

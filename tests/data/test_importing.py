"""A folder in each layout goes from import to a trained tiny model to a submission."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest

from netchu.cli import main
from netchu.core.errors import NetchuError
from netchu.data.importing import read_sources, write_manifests
from netchu.data.layouts import READERS
from netchu.data.manifest import read_lines
from netchu.model.bundle import load_bundle
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import plain_recipe
from netchu.reading.submission import read_folder, write_submission
from netchu.training.engine import fit
from tests.support.commands import run
from tests.support.samples import MAKERS, Sample
from tests.support.tiny import ROOT, TEXTS, TINY


@pytest.fixture(scope="module")
def lines(lines_folder: Path) -> list[Sample]:
    """Four lines of each writer."""
    return [
        (lines_folder / f"images/{writer}/{number}.jpg", TEXTS[number], f"w{writer}")
        for writer in range(6)
        for number in range(4)
    ]


MADE = {"synthetic", "answers"}  # layouts of lines that are only trained on


@pytest.mark.parametrize("name", READERS)
def test_from_layout_to_submission(name: str, lines: list[Sample], tmp_path: Path) -> None:
    source, data = tmp_path / "set", tmp_path / "data"
    source.mkdir()
    path = MAKERS[name](source, lines)
    layout = name if name == "synthetic" else ""
    write_manifests(read_sources([(layout, path)], data / "images", {}), data, seed=0, new_folds=False)
    manifest = data / ("train_ext.csv" if name in MADE else "train_folds.csv")
    fold = 5 if name in MADE else 0
    cfg = replace(TINY, epochs=1, hidden=16, neck="none", fold=fold, manifest=str(manifest), output_dir=str(tmp_path))
    report = fit(replace(cfg, name="one"))
    assert report["lines"]["train"] + report["lines"]["held_out"] == len(lines)
    assert (report["held_out"] is None) == (fold == 5)
    written = (data / "images").is_dir()  # lines that were cut or unpacked; others stay where they are
    assert not written or "images" in READERS[name].takes
    images = data / "images" if written and name != "synthetic" else source
    answers = read_folder(images, Ensemble.from_recipe(plain_recipe([tmp_path / "one" / "best.safetensors"])))
    write_submission(tmp_path / "submission.csv", answers)
    with (tmp_path / "submission.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(lines) + (name in {"sidecars", "answers"}), (
        "one row a line, and one for what nobody has labelled"
    )


@pytest.mark.parametrize("name", ["label-studio", "mcocr"])
def test_the_script_detects_and_writes_lmdb(name: str, lines: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    path = MAKERS[name](tmp_path / "set", lines)
    result = run("prepare_ext_data.py", path, "--out", tmp_path / "data", "--write-lmdb", tmp_path / "store")
    assert result.returncode == 0, result.stderr
    assert f"{path}: {name}, 24 lines" in result.stdout
    again = run("prepare_ext_data.py", tmp_path / "store", "--out", tmp_path / "again")
    assert f"{tmp_path / 'store'}: lmdb, 24 lines" in again.stdout
    first, second = (read_lines(tmp_path / folder / "train_folds.csv") for folder in ("data", "again"))
    assert sorted(line.text for line in first) == sorted(line.text for line in second)
    assert {line.writer_id for line in first} == {line.writer_id for line in second}


def test_what_cannot_be_used_is_said_before_a_data_set_is_read(
    lines: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines would be cut into image files, and the manifests written."""
    for folder in ("set", "store", "old"):
        (tmp_path / folder).mkdir()
    data, path = tmp_path / "data", MAKERS["mcocr"](tmp_path / "set", lines)
    for file in ("store/thesis.txt", "old/train_folds.csv"):
        (tmp_path / file).touch()
    monkeypatch.setitem(sys.modules, "lmdb", lmdb)
    before = sorted(tmp_path.rglob("*"))
    for words, says in (
        (["--write-lmdb", tmp_path / "store"], r"store: holds thesis\.txt, which would be lost"),
        (["--write-lmdb", data], "--write-lmdb .*data: --out writes there"),
        (["--write-lmdb", data / "images"], "--write-lmdb .*images: --out writes there"),
        (["--columns", "text=x"], "--columns text=x: is of CSV and parquet"),
        (["--group-hands", "none.safetensors"], "none.safetensors: no such bundle"),
        (["--group-hands", "none.safetensors", "--out", tmp_path / "old"], "--group-hands wants --new-folds"),
        (["--out", tmp_path / "old"], r"old/train_folds\.csv: "),
        (["--write-lmdb", tmp_path / "new"], "lmdb"),
    ):
        monkeypatch.setattr(sys, "argv", ["netchu", "prepare", *map(str, (path, "--out", data, *words))])
        if says == "lmdb":  # is missing
            monkeypatch.setitem(sys.modules, "lmdb", None)
        with pytest.raises((NetchuError, ImportError), match=says):
            main()
        assert sorted(tmp_path.rglob("*")) == before


def test_made_lines_in_one_lmdb_file_are_read(tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = "synthetic_data/gendata_address.py"
    drawn = run(script, "--count", 4, "--jobs", 1, "--height", 32, "--lmdb", "--out", made)
    assert drawn.returncode == 0, drawn.stderr
    lines = read_sources([("synthetic", made)], tmp_path / "images", {})
    assert len(lines) == 4
    assert {(line.source, line.aug) for line in lines} == {("made", "made")}
    assert all(line.path.is_file() and line.text and line.writer_id for line in lines)


def test_helping_lines_are_trained_on_and_never_validated_on(lines: list[Sample], tmp_path: Path) -> None:
    target, open_set, data = tmp_path / "target", tmp_path / "open", tmp_path / "data"
    target.mkdir()
    MAKERS["labels-tsv"](target, lines[:20])
    open_set.mkdir()
    MAKERS["labels-tsv"](open_set, [(image, f"ß{text}", writer) for image, text, writer in lines[20:]])
    labels = open_set / "labels.tsv"  # its names may also start at `images/`, as open data sets have them
    labels.write_text(labels.read_text(encoding="utf-8").replace("images/", ""), encoding="utf-8")
    result = run("prepare_ext_data.py", "--labels-tsv", target, "--helping", open_set, "--out", data)
    assert result.returncode == 0, result.stderr
    assert "20 real, 0 synthetic and 4 helping lines" in result.stdout
    assert len(read_lines(data / "train_folds.csv")) == 20
    helping = [line for line in read_lines(data / "train_ext.csv") if line.is_helping]
    assert len(helping) == 4 and {line.fold for line in helping} == {-1} and not any(line.is_real for line in helping)
    cfg = replace(TINY, epochs=1, hidden=16, neck="none", output_dir=str(tmp_path), helping_share=0.5)
    mixed = replace(cfg, name="mixed", manifest=str(data / "train_ext.csv"))
    report = fit(mixed)
    assert report["lines"]["held_out"] == sum(line.fold == 0 for line in read_lines(data / "train_folds.csv"))
    start = str(mixed.run_dir / "last.safetensors")
    tuned = replace(cfg, name="tuned", manifest=str(data / "train_folds.csv"), load_weight=start)
    fit(tuned)
    assert "ß" in load_bundle(Path(start)).charset.characters
    assert "ß" not in load_bundle(tuned.run_dir / "last.safetensors").charset.characters


def test_nothing_given(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no data set given"):
        read_sources([], tmp_path, {})
    assert len((ROOT / "prepare_ext_data.py").read_text(encoding="utf-8").splitlines()) <= 80

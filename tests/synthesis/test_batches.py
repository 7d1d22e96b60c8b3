"""Making many lines: repeatable, resumable, sharded, never half-written; the scripts' own checks."""

import errno
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from netchu.core.errors import NetchuError
from netchu.data.lmdb_file import read_records
from netchu.synthesis import batches as production
from netchu.synthesis.address_lines import AddressLines
from netchu.synthesis.batches import LineMaker, Order, SyntheticLine, contents, produce
from netchu.synthesis.fonts import PACKAGED
from netchu.synthesis.poem_lines import PoemLines
from netchu.synthesis.recombined_lines import RecombinedLines
from tests.support.commands import Result, fresh
from tests.support.tiny import ROOT


@dataclass(frozen=True, slots=True)
class Stripes:
    """A recipe of cheap images; line `broken` cannot be made while the file `fault` exists."""

    seed: int = 0
    broken: int = -1
    fault: str = ""

    def record(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def build(self) -> LineMaker:
        def make(number: int) -> SyntheticLine:
            if number == self.broken and Path(self.fault).exists():
                raise NetchuError("stopped")
            rng = np.random.default_rng([self.seed, number])
            return rng.integers(0, 255, (32, 40), np.uint8), f"Tổ {number}", "mali-0001"

        return make


@dataclass(frozen=True, slots=True)
class FromFile(Stripes):
    """Stripes that depend on what a file holds."""

    texts: str = ""

    def record(self) -> dict[str, Any]:
        return {"seed": self.seed, **contents(texts=self.texts)}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "CHUNK", 4)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the run's record."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "run.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_files_and_labels_fit(tmp_path: Path) -> None:
    produce(Stripes(), Order(tmp_path / "a", 10))
    lines = (tmp_path / "a" / "labels.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[9] == "images/00000009.jpg\tTổ 9\tmali-0001" and len(lines) == 10
    assert len(content(tmp_path / "a")) == 11
    image = cv2.imread(str(tmp_path / "a" / "images/00000009.jpg"), cv2.IMREAD_UNCHANGED)
    assert image is not None and image.shape == (32, 40)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    fault.touch()
    recipe = Stripes(broken=9, fault=str(fault))
    with pytest.raises(NetchuError, match="stopped"):
        produce(recipe, Order(tmp_path / "a", 14))
    assert not (tmp_path / "a" / "labels.tsv").exists()
    kept = (tmp_path / "a" / "images" / "00000002.jpg").stat().st_mtime_ns
    fault.unlink()
    produce(recipe, Order(tmp_path / "a", 14))
    produce(Stripes(), Order(tmp_path / "b", 14))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert (tmp_path / "a" / "images" / "00000002.jpg").stat().st_mtime_ns == kept


def test_a_finished_run_is_left_alone_and_another_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    produce(Stripes(), Order(tmp_path, 5))
    produce(Stripes(), Order(tmp_path, 5))
    assert "already complete" in capsys.readouterr().out
    with pytest.raises(NetchuError, match="another seed"):
        produce(Stripes(seed=1), Order(tmp_path, 5))
    with pytest.raises(NetchuError, match="another count"):
        produce(Stripes(), Order(tmp_path, 6))


def test_inputs_that_changed_are_refused(tmp_path: Path) -> None:
    """By what they hold, wherever they lie; a folder that an earlier version began says nothing of that."""
    poems, places = tmp_path / "poems.csv", tmp_path / "places"
    places.mkdir()
    poems.write_text("content\nTrăm năm trong cõi người ta\n", encoding="utf-8")
    (places / "wards.txt").write_text("Phường 1\tQuận 5\tHồ Chí Minh\n", encoding="utf-8")
    usual: dict[str, Any] = {"fonts": (), "writers": 1, "height": 32, "effects": "full", "seed": 0}

    def records() -> list[dict[str, Any]]:
        reused = RecombinedLines(str(poems), (1,), 32, "full", 0, 0.5)
        made = PoemLines(**usual, poems=str(poems)), AddressLines(**usual, gazetteer=(str(places),)), reused
        return [generator.record() for generator in made]

    first, recipe = records(), FromFile(texts=str(poems))
    produce(recipe, Order(tmp_path / "out", 5))
    assert records() == first
    poems.write_text("content\nChữ tài chữ mệnh\n", encoding="utf-8")
    (places / "wards.txt").write_text("Phường 2\tQuận 5\tHồ Chí Minh\n", encoding="utf-8")
    changed = [[key for key in old if old[key] != new[key]] for old, new in zip(first, records(), strict=True)]
    assert changed == [["content of poems"], ["content of gazetteer"], ["content of manifest"]]
    with pytest.raises(NetchuError, match="begun with another content of texts; choose another --out"):
        produce(recipe, Order(tmp_path / "out", 5))
    began = json.loads((tmp_path / "out/run.json").read_text(encoding="utf-8"))
    (tmp_path / "out/run.json").write_text(json.dumps({k: v for k, v in began.items() if "content" not in k}))
    produce(recipe, Order(tmp_path / "out", 5))


def test_shards_make_up_the_whole(tmp_path: Path) -> None:
    produce(Stripes(), Order(tmp_path / "whole", 18))
    for which in (1, 2, 3):
        produce(Stripes(), Order(tmp_path / str(which), 18, shard=(which, 3)))
    parts = [content(tmp_path / str(which)) for which in (1, 2, 3)]
    whole = content(tmp_path / "whole")
    labels = b"".join(sorted(b"".join(part.pop("labels.tsv") for part in parts).splitlines(keepends=True)))
    assert labels == whole.pop("labels.tsv")
    assert sum(map(len, parts)) == len(whole) == 18
    assert {**parts[0], **parts[1], **parts[2]} == whole


def test_one_file_holds_the_same_lines(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    fault.touch()
    recipe = Stripes(broken=6, fault=str(fault))
    with pytest.raises(NetchuError, match="stopped"):
        produce(recipe, Order(tmp_path / "a", 10, lmdb=True))
    with pytest.raises(NetchuError, match="not finished"):
        list(read_records(tmp_path / "a" / "lines.lmdb"))
    fault.unlink()
    produce(recipe, Order(tmp_path / "a", 10, lmdb=True))
    produce(Stripes(), Order(tmp_path / "b", 10))
    lines = list(read_records(tmp_path / "a" / "lines.lmdb"))
    assert [line.text for line in lines] == [f"Tổ {number}" for number in range(10)]
    assert lines[7].image == (tmp_path / "b/images/00000007.jpg").read_bytes()


@pytest.mark.parametrize(("library", "how"), [("lmdb", {"lmdb": True}), ("distributed", {"dask": "tcp://none"})])
def test_a_library_that_is_missing_is_missed_before_the_folder_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, how: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=library):
        produce(Stripes(), Order(tmp_path / "a", 6, **how))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NetchuError, match="No space left"):
        produce(Stripes(), Order(tmp_path, 5))
    assert set(content(tmp_path)) == set()


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NetchuError, match="cannot be written"):
        produce(Stripes(), Order(tmp_path / "file" / "out", 5))
    with pytest.raises(NetchuError, match="at least one"):
        produce(Stripes(), Order(tmp_path / "a", 0))


def run(script: str, *arguments: str | Path) -> Result:
    """Run a generator as a user does, from another folder."""
    return fresh(ROOT / "synthetic_data" / script, *arguments, cwd="/", timeout=120)


@pytest.mark.parametrize("script", ["gendata_address.py", "gendata_poems.py"])
def test_scripts_give_the_same_bytes_with_more_jobs(script: str, tmp_path: Path) -> None:
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    for name in ("Mali.ttf", "Whisper.ttf"):
        (fonts / name).symlink_to(PACKAGED / name)
    for jobs in ("1", "2", "2"):
        done = run(script, "--count", "203", "--out", tmp_path / jobs, "--jobs", jobs, "--height", "32",
                   "--fonts", fonts, "--writers", "5", "--seed", "7")  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "already complete" in done.stdout, "the same command again"
    assert content(tmp_path / "1") == content(tmp_path / "2")
    rows = [line.split("\t") for line in (tmp_path / "1" / "labels.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 203 and len({row[2] for row in rows}) == 5
    images = [cv2.imread(str(tmp_path / "1" / row[0]), cv2.IMREAD_GRAYSCALE) for row in rows[:20]]
    assert all(image is not None and image.shape[0] == 32 for image in images)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("gendata_address.py", ["--fonts", "/nowhere"], "/nowhere: no such folder of fonts"),
        ("gendata_address.py", ["--gazetteer", "/nowhere"], "/nowhere: no such folder; a gazetteer is"),
        ("gendata_address.py", ["--style-from", "/nowhere.tsv"], "/nowhere.tsv: no such file"),
        ("gendata_address.py", ["--shard", "3/2"], "--shard 3/2"),
        ("gendata_address.py", ["--shard", "2/2"], "--shard 2/2: 3 lines leave it none"),
        ("gendata_poems.py", ["--poems", "/nowhere.csv"], "/nowhere.csv: no such file"),
        ("gendata_poems.py", ["--height", "4"], "--height 4"),
        ("gendata_aug.py", ["--manifest", "/nowhere.csv", "--folds", "x"], "--folds x"),
        ("gendata_aug.py", ["--manifest", "/nowhere.csv", "--folds", "1"], "/nowhere.csv"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(script: str, arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run(script, "--count", "3", "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


def test_preview_draws_a_sheet(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((40, 300), 200, np.uint8))
    command = ["-m", "netchu", "preview", "--out", tmp_path / "sheet.jpg", "--real", folder]
    done = fresh(*command, "--count", 3, "--width", 400)
    assert done.returncode == 0, done.stderr
    refused = fresh(*command, "--out", ".")
    assert (refused.returncode, refused.stderr) == (2, "error: .: is a folder; name a file in it\n")
    refused = fresh(*command, "--out", "a.xyz")
    said = "error: --out a.xyz: no kind of picture ends in .xyz; name it .png\n"
    assert (refused.returncode, refused.stderr) == (2, said)
    assert (tmp_path / "sheet.jpg").read_bytes().startswith(b"\xff\xd8"), "it is what its name says"
    sheet = cv2.imread(str(tmp_path / "sheet.jpg"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None and sheet.shape == (3 * 70, 2 * 406)

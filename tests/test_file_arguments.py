"""Every command with a file that is missing, a folder, empty, cut off or of another kind: one line that names it."""

import gzip
import random
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from netchu.cli import main
from netchu.core.errors import run_main
from netchu.data.lmdb_file import write_lmdb
from netchu.data.manifest import read_lines
from netchu.language.arpa import write_arpa
from netchu.language.ngram import load_ngram, save_ngram
from netchu.language.smoothing import train_ngram
from netchu.model.bundle import save_bundle
from netchu.model.recogniser import build_model
from netchu.reading.recipe import plain_recipe, write_recipe
from netchu.selection.out_of_fold import measure_oof
from netchu.synthesis import address_lines, address_texts, poem_lines, recombined_lines
from tests.support.tiny import CHARSET, TEXTS, TINY

LAYOUTS = (
    "kalapa", "labels-json", "labels-tsv", "path-text", "csv", "label-studio", "mcocr", "iam", "pairs", "sidecars",
    "parquet", "lmdb", "page-xml", "huggingface", "answers", "synthetic",
)  # fmt: skip
COMMANDS = [  # {a name}: a file of the folder `good`, broken in turn; @a name: one that stays; OUT: a new folder
    "read {image.jpg} --bundles {a.safetensors} --threads 1",
    "read @image.jpg --ensemble {ensemble.json} --threads 1",
    "read --page {image.jpg} --bundles {a.safetensors} --threads 1",
    "infer --images {image.jpg} --bundles {a.safetensors} --labels {labels.tsv} --out OUT/s.csv --threads 1",
    "cut-page {image.jpg} --out OUT/lines",
    "prepare {lines} --out OUT/data",
    *(f"prepare --{layout} {{labels.tsv}} --out OUT/data" for layout in LAYOUTS),
    "prepare --labels-tsv @lines --helping {lines} --out OUT/data",
    "prepare --labels-tsv @lines --group-hands {a.safetensors} --out OUT/data",
    "export-data {train.csv} --to paddleocr --out OUT/data",
    "check {train.csv} --bundles {a.safetensors} --report OUT/r.html",
    "check @train.csv -C tiny --configs {configs} --report OUT/r.html",
    "preview --out OUT/p.png --real {image.jpg} --lines {image.jpg} --count 1",
    "preview --out OUT/p.png --fonts {fonts} --count 1",
    "language train --texts {texts.txt} --manifest {train.csv} --out OUT/a.nlm",
    "language train --texts {texts.gz} --out OUT/a.nlm",
    "language export {a.nlm} --out OUT/a.arpa",
    "language import {a.arpa} --out OUT/a.nlm",
    "language measure {a.nlm} --texts {texts.txt}",
    "train -C tiny --configs {configs} --set manifest={train.csv} output_dir=OUT",
    "train -C tiny --configs @configs --set epochs=1 output_dir=OUT load_weight={a.safetensors}",
    "train -C tiny --configs @configs --set epochs=1 output_dir=OUT teacher={a.safetensors}",
    "import-weights {a.onnx} --out OUT/a.safetensors",
    "slim {a.safetensors} --manifest {train.csv} --out OUT/s.safetensors",
    "trial lr -C tiny --configs {configs} --set manifest={train.csv} load_weight={a.safetensors}",
    "tune -C tiny --configs @configs --fold 0 --trials 1 --out OUT --space {space.py} --set epochs=1",
    "runs {run}",
    "report {run} --out OUT/r.html",
    "registry --models OUT/models add {a.safetensors}",
    "oof {a.safetensors} --manifest {train.csv} --out OUT/oof.npz",
    "select --oof {a.safetensors}={oof.npz} --language {a.nlm} --places {places.tsv} --parts 2 --out OUT/e.json",
    "select --oof {run} --parts 2 --out OUT/e.json",
    "select --oof @a.safetensors=@oof.npz --language @a.nlm --held-out-language {b.nlm} --parts 2 --out OUT/e.json",
    "compare --oof {a.safetensors}={oof.npz} --language {a.nlm} --places {places.tsv}",
    "soup --bundles {a.safetensors} {b.safetensors} --out OUT/s.safetensors",
    "int8 {a.safetensors} --out OUT/s.safetensors",
    "export {a.safetensors} --to torchscript --manifest {train.csv} --count 1 --out OUT/a.pt",
    "export @a.safetensors --to torchscript --images {lines} --labels {labels.tsv} --count 1 --out OUT/a.pt",
    "release --ensemble {ensemble.json} --lines {lines} --manifest {train.csv} --out OUT/release --check-every 99",
    "release --ensemble @ensemble.json --lines @lines --manifest @train.csv --replace @a.safetensors={b.safetensors} "
    "--out OUT/release",
    "figures --release {run} --out OUT",
]
MADE = "--count 1 --jobs 1 --out OUT/a"
SCRIPTS = [
    (address_lines.main, f"gendata_address.py {MADE} --gazetteer {{places}} --style-from {{labels.tsv}}"),
    (address_lines.main, f"gendata_address.py {MADE} --fonts {{fonts}}"),
    (poem_lines.main, f"gendata_poems.py {MADE} --poems {{poems.csv}}"),
    (recombined_lines.main, f"gendata_aug.py {MADE} --folds 1,2 --manifest {{train.csv}} --bundle {{a.safetensors}}"),
    (address_texts.main, "gentext_address.py --count 1 --out OUT/a --gazetteer {places} --style-from {labels.tsv}"),
]
CASES = [(main, f"netchu {line}") for line in COMMANDS] + SCRIPTS


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, manifest: Path, lines_folder: Path) -> Path:
    """A folder with a file of every kind that the commands take."""
    folder = tmp_path_factory.mktemp("good")
    for name in ("a", "b"):
        torch.manual_seed(ord(name))
        cfg = replace(TINY, neck="none", hidden=16, manifest=str(manifest))
        save_bundle(folder / f"{name}.safetensors", build_model(cfg, len(CHARSET)), cfg, CHARSET, metrics={}, hashes={})
    shutil.copyfile(manifest, folder / "train.csv")
    measure_oof(folder / "a.safetensors", manifest, folder / "oof.npz")
    shutil.copyfile(lines_folder / "images/0/0.jpg", folder / "image.jpg")
    (folder / "labels.tsv").write_text("image.jpg\tHà Nội\n", encoding="utf-8")
    (folder / "texts.txt").write_text("\n".join(TEXTS * 3), encoding="utf-8")
    (folder / "texts.gz").write_bytes(gzip.compress("\n".join(TEXTS * 30).encode()))
    for name in ("a.nlm", "b.nlm"):
        save_ngram(folder / name, train_ngram(TEXTS * 3, order=4))
    write_arpa(folder / "a.arpa", load_ngram(folder / "a.nlm"))
    (folder / "places.tsv").write_text("Hà Nội\tĐống Đa\tThổ Quan\n", encoding="utf-8")
    write_recipe(folder / "ensemble.json", plain_recipe([folder / "a.safetensors"], "greedy"))
    (folder / "a.onnx").write_bytes(b"\x08\x08")
    (folder / "poems.csv").write_text("content\nTrăm năm trong cõi người ta\n", encoding="utf-8")
    (folder / "space.py").write_text("def space(trial):\n    return {}\n", encoding="utf-8")
    (folder / "lines").symlink_to(lines_folder)
    for name in ("run", "places", "fonts", "configs"):
        (folder / name).mkdir()
    (folder / "places/wards.txt").write_text("Phường 1\tQuận 5\tHồ Chí Minh\n", encoding="utf-8")
    (folder / "configs/tiny.py").write_text(
        f"from netchu.core.config import Config\ncfg = {replace(cfg, name='')!r}\n", encoding="utf-8"
    )
    return folder


def broken(file: Path, folder: Path) -> dict[str, Path]:
    """Files of the same name that cannot stand for a good one, by what is wrong with them."""
    kinds = ("missing", "folder", "empty", "cut off", "bytes", "list", "text")
    found = {kind: folder / kind / file.name for kind in kinds}
    for path in found.values():
        path.parent.mkdir(parents=True)
    found["folder"].mkdir()
    data = file.read_bytes() if file.is_file() else b"some file"
    found["empty"].write_bytes(b"")
    found["cut off"].write_bytes(data[: len(data) * 2 // 3])
    found["bytes"].write_bytes(random.Random(0).randbytes(3000))
    found["list"].write_text("[1, []]\n", encoding="utf-8")
    found["text"].write_text('Hà Nội\n\n,"\t;\n', encoding="utf-8")
    return found


def ends(command: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> tuple[object, list[str]]:
    """The status that a command ends with, and its lines of errors."""
    with pytest.raises(SystemExit) as ended:
        run_main(command)
    return ended.value.code, [row for row in capsys.readouterr().err.splitlines() if row.startswith("error: ")]


@pytest.mark.parametrize(("command", "line"), CASES, ids=[line for _, line in CASES])
def test_a_file_that_cannot_be_used_is_one_line(
    command: Callable[[], None],
    line: str,
    good: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback, and nothing is left behind. What can be used after all, such as any text, is no mistake."""
    for name in dict.fromkeys(re.findall(r"\{(.*?)\}", line)):
        for kind, path in broken(good / name, tmp_path / name.replace(".", "_")).items():
            out = tmp_path / "out"
            out.mkdir()
            told = line.replace(f"{{{name}}}", str(path).replace(" ", "\\ ")).replace("OUT", str(out))
            words = shlex.split(re.sub(r"\{(.*?)\}|(?<!\w)@([\w.]+)", lambda m: str(good / (m[1] or m[2])), told))
            monkeypatch.setattr("sys.argv", words)
            status, errors = ends(command, capsys)
            assert (status, len(errors)) in ((0, 0), (2, 1)), (name, kind, errors)
            if errors:
                assert str(path) in errors[0], (name, kind)
                whole = {out / "s.csv"} if name == "image.jpg" and "infer" in line else set()  # a row for every image
                assert set(out.iterdir()) <= whole, (name, kind, errors)
            shutil.rmtree(out)


OVERWRITING = [  # an output is a file that is read, or another output
    "read image.jpg --bundles a.safetensors --out image.jpg",
    "read lines --ensemble ensemble.json --out ensemble.json",
    "infer --images image.jpg --bundles a.safetensors --labels labels.tsv --out labels.tsv",
    "infer --images image.jpg --bundles a.safetensors --out s.csv --details s.csv",
    "prepare --csv train_ext.csv --columns image=img_path --out .",
    "prepare shelf --out data --write-lmdb shelf/store",
    "export-data sets/train.csv --to paddleocr --out sets/exported",
    "export-data train.csv --to paddleocr --out mine",
    "check train.csv --report train.csv",
    "check train.csv --report link.csv",
    "check train.csv --report same.csv",
    "check train.csv --report r.html --fix r.html",
    "check lines --fix lines/labels.tsv",
    "preview --real lines --out lines/images/0/0.jpg",
    "language train --texts texts.txt --out texts.txt",
    "language export a.nlm --out a.nlm",
    "language import a.arpa --out a.arpa",
    "import-weights a.onnx --out a.onnx",
    "slim a.safetensors --manifest train.csv --out train.csv",
    "report run --out run/report.json",
    "oof a.safetensors --manifest train.csv --out train.csv",
    "select --oof a.safetensors=oof.npz --parts 2 --out oof.npz",
    "soup --bundles a.safetensors b.safetensors --out b.safetensors",
    "int8 a.safetensors --out a.safetensors",
    "export a.safetensors --to torchscript --out a.safetensors",
    "export a.safetensors --to torchscript --out a.pt --package a.pt",
    "release --ensemble members/ensemble.json --lines lines --manifest train.csv --out members --check-every 99",
]
OVERWRITING_SCRIPTS = [
    (address_texts.main, "gentext_address.py --count 1 --out a.txt --places a.txt"),
    (address_texts.main, "gentext_address.py --count 1 --out a.txt --gazetteer places --places places/wards.txt"),
    (address_lines.main, "gendata_address.py --count 1 --jobs 1 --out mine"),
    (address_lines.main, "gendata_address.py --count 1 --jobs 1 --out stored --lmdb"),
]
LOST = [*((main, f"netchu {line}") for line in OVERWRITING), *OVERWRITING_SCRIPTS]


@pytest.mark.parametrize(("command", "line"), LOST, ids=[line for _, line in LOST])
def test_no_output_takes_the_place_of_an_input_or_another_output(
    command: Callable[[], None],
    line: str,
    good: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is one line, and every file is what and where it was."""
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    shutil.copyfile(tmp_path / "train.csv", tmp_path / "train_ext.csv")
    (tmp_path / "link.csv").symlink_to("train.csv")
    (tmp_path / "same.csv").hardlink_to(tmp_path / "train.csv")
    (tmp_path / "run/report.json").write_text("{}")
    for name in ("mine/images/00000000.jpg", "sets/exported/images/000000.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copyfile(tmp_path / "image.jpg", tmp_path / name)
    (tmp_path / "sets/train.csv").write_text("img_path,text,writer_id,fold\nexported/images/000000.jpg,Hà Nội,a,0\n")
    write_lmdb(tmp_path / "shelf/store", read_lines(tmp_path / "train.csv"))
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored/lines.lmdb").touch()
    (tmp_path / "members").mkdir()
    for name in ("a.safetensors", "ensemble.json"):
        shutil.copyfile(tmp_path / name, tmp_path / "members" / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", line.split())
    status, errors = ends(command, capsys)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert status == 2 and len(errors) == 1, errors
    assert re.search(r"would be lost; (name another|choose an)|holds lines of another run", errors[0])

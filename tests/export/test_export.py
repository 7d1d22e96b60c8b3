"""Exports read like their bundles, for every neck; what does not is refused and leaves no file."""

import argparse
import base64
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netchu.core.errors import NetchuError
from netchu.core.preprocess import Geometry, preprocess
from netchu.ctc.decoders import greedy
from netchu.data.manifest import Line, read_lines
from netchu.export import targets as module
from netchu.export.onnx_file import KEY, write_onnx
from netchu.export.parity import compare
from netchu.export.program import run_onnx
from netchu.export.targets import TARGETS, Material, choose_lines, export
from netchu.export.vectors import drawn_lines
from netchu.model.bundle import Bundle, load_bundle, save_bundle
from netchu.model.bundle_file import quantise_array
from netchu.model.necks import NECKS
from tests.support.bundles import sharp_bundle
from tests.support.tiny import CHARSET

onnx = pytest.importorskip("onnx")


def describe_file(path: Path) -> dict[str, Any]:
    """What an ONNX file says about itself."""
    about: dict[str, Any] = json.loads({p.key: p.value for p in onnx.load(path).metadata_props}[KEY])
    return about


def plain(bundle: Bundle, to: str, out: Path, material: Material | None = None, package: Path | None = None) -> None:
    """An export without a command line."""
    export(bundle, to, out, material or Material(), package=package, trained_on="lines of the tests")


@pytest.mark.parametrize("neck", NECKS)
def test_onnx_of_every_neck_reads_alike_at_any_width_and_batch(neck: str, tmp_path: Path) -> None:
    bundle, path = sharp_bundle(neck), tmp_path / "model.onnx"
    write_onnx(bundle, path)
    parity = compare(bundle, run_onnx(path, threads=1))
    assert len(set(parity.widths)) == 3 and parity.same_text and parity.difference < 1e-3
    assert max(len(text) for text, _ in parity.texts) > 3
    about = describe_file(path)
    assert about["charset"] == CHARSET.characters and about["preprocessing"] == Geometry.of(bundle.cfg).to_dict()
    assert np.allclose(np.exp(parity.outputs[0]).sum(axis=1), 1, atol=1e-4)
    graph = onnx.load(path).graph
    free = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.output)]
    assert free == [["batch", 1, 32, "width"], ["batch", "steps", len(CHARSET)]]
    assert not list(tmp_path.glob("*.data")), "one file holds everything"


@pytest.mark.parametrize("neck", NECKS)
def test_torchscript_of_every_neck(neck: str, tmp_path: Path) -> None:
    plain(sharp_bundle(neck), "torchscript", tmp_path / "model.pt")
    about = {"netchu.json": ""}
    torch.jit.load(str(tmp_path / "model.pt"), _extra_files=about)
    assert json.loads(about["netchu.json"])["charset"] == CHARSET.characters


def test_an_export_that_reads_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracing exporter freezes the width in attention: exactly what the comparison is there to find."""
    monkeypatch.setattr("netchu.model.graph.TRACED_NECKS", frozenset(NECKS))
    with pytest.raises(NetchuError, match="not written, since it does not run at every width"):
        plain(sharp_bundle("mixing"), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_int8_is_small_and_gated(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = sharp_bundle("bigru")
    lines = read_lines(manifest)
    with pytest.raises(NetchuError, match="needs labelled lines"):
        plain(bundle, "int8", tmp_path / "none.onnx")
    monkeypatch.setitem(TARGETS, "int8", replace(TARGETS["int8"], max_rise=1e6))
    write_onnx(bundle, tmp_path / "float.onnx")
    for scheme in ("weight-only", "static"):
        path = tmp_path / f"{scheme}.onnx"
        plain(bundle, "int8", path, Material(lines[:9], lines[9:15], scheme))
        assert path.stat().st_size < 0.6 * (tmp_path / "float.onnx").stat().st_size
        about = describe_file(path)
        assert about["kind"] == f"int8 {scheme}" and about["charset"] == CHARSET.characters
    monkeypatch.setitem(TARGETS, "int8", replace(TARGETS["int8"], max_rise=-1e6))
    with pytest.raises(NetchuError, match=r"int8 \(weight-only\) raises CER by .* try --scheme static"):
        plain(bundle, "int8", tmp_path / "refused.onnx", Material([], lines[:4]))
    assert not list(tmp_path.glob("*refused*"))


def test_int8_weights_are_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32) * np.arange(1, 7)[:, None, None]
    values[2] = 0
    whole, scale = quantise_array(values.astype(np.float32), (0,))
    assert whole.dtype == np.int8 and scale.shape == (6, 1, 1)
    assert (np.abs(whole * scale - values) <= scale / 2 + 1e-6).all()


def test_recurrent_necks_are_refused_by_executorch_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="neck bigru is recurrent"):
        plain(sharp_bundle("bigru"), "executorch", tmp_path / "model.pte")


@pytest.mark.parametrize("neck", ["none", "mixing"])
def test_executorch(neck: str, tmp_path: Path) -> None:
    pytest.importorskip("executorch.exir")
    plain(sharp_bundle(neck), "executorch", tmp_path / "model.pte")


def test_package_holds_what_a_port_needs(tmp_path: Path) -> None:
    bundle, path = sharp_bundle("none"), tmp_path / "model.zip"
    bundle = replace(bundle, cfg=replace(bundle.cfg, load_weight=str(tmp_path / "of An" / "start.safetensors")))
    plain(bundle, "onnx", tmp_path / "model.onnx", package=path)
    first = path.read_bytes()
    plain(bundle, "onnx", tmp_path / "model.onnx", package=path)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["README.md", "charset.json", "model.onnx", "test_vectors.json"]
        card = archive.read("README.md").decode("utf-8")
        vectors = json.loads(archive.read("test_vectors.json"))
        about = json.loads(archive.read("charset.json"))
        (tmp_path / "unpacked.onnx").write_bytes(archive.read("model.onnx"))
    assert "started from of An/start.safetensors." in card and str(tmp_path) not in card
    assert "lines of the tests" in card and "| held-out rendered | 8 | 50.00 % | 75.00 % | 25.0 % | 0.5000 |" in card
    assert about["charset"] == vectors["charset"] == CHARSET.characters
    geometry, run = Geometry.of(bundle.cfg), run_onnx(tmp_path / "unpacked.onnx", threads=1)
    for line, image in zip(vectors["lines"], drawn_lines(), strict=True):
        reading = greedy(run(preprocess(image, geometry)[None])[0], CHARSET)
        grey = np.frombuffer(base64.b64decode(line["grey"]), np.uint8).reshape(line["height"], line["width"])
        assert (grey == image).all() and line["text"] == reading.text
        stored = np.frombuffer(base64.b64decode(line["input"]), "<f4").reshape(line["input_shape"])
        assert (stored == preprocess(image, geometry)).all()
        log_probs = np.frombuffer(base64.b64decode(line["log_probs"]), "<f4").reshape(line["log_probs_shape"])
        assert greedy(log_probs, CHARSET).text == line["text"]
    assert [len(case["text"]) for case in vectors["decode"]] == [3, 3, 0, 0, 3]


def test_the_command_scores_the_held_out_fold(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sharp, path = sharp_bundle("none"), tmp_path / "best.safetensors"
    save_bundle(path, sharp.model, sharp.cfg, CHARSET, metrics={}, hashes={})
    monkeypatch.setattr("sys.argv", ["export", str(path), "--to", "onnx", "--manifest", str(manifest), "--count", "4"])
    module.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(str(tmp_path / "best.onnx")) and "same text" in printed[0]
    assert printed[1].removeprefix("bundle") == printed[2].removeprefix("export")
    assert load_bundle(path).cfg.fold == 0


def test_lines_are_never_both_calibrated_on_and_scored(manifest: Path, lines_folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.tsv"
    rows = (lines_folder / "labels.tsv").read_text(encoding="utf-8").splitlines()
    labels.write_text("".join("\t".join(row.split("\t")[:2]) + "\n" for row in rows), encoding="utf-8")

    def chosen(fold: int = 0, **given: object) -> Material:
        names = ("manifest", "images", "labels")
        args = dict.fromkeys(names) | {"to": "int8", "scheme": "static"} | given
        bundle = sharp_bundle("none")
        held_out = replace(bundle, cfg=replace(bundle.cfg, fold=fold))
        return choose_lines(argparse.Namespace(**args), held_out)

    for material in (
        chosen(manifest=manifest),
        chosen(5, manifest=manifest),
        chosen(images=lines_folder, labels=labels),
    ):
        paths = [{line.path.resolve() for line in lines} for lines in (material.calibration, material.scored)]
        assert paths[0] and paths[1] and not paths[0] & paths[1]
    assert all(line.fold == 0 for line in chosen(manifest=manifest).scored)
    with pytest.raises(NetchuError, match="belong together"):
        chosen(images=lines_folder)
    with pytest.raises(NetchuError, match="leave --images and --labels out"):
        chosen(manifest=manifest, images=lines_folder, labels=labels)
    assert chosen() == Material(scheme="static") and isinstance(chosen(manifest=manifest).scored[0], Line)


def test_each_target_has_its_suffix() -> None:
    assert len({target.suffix for target in TARGETS.values()}) == len(TARGETS)


def test_an_export_of_other_weights_is_refused(tmp_path: Path) -> None:
    """As when an exporter writes a layer wrong: it runs, and reads something else."""
    target = replace(TARGETS["onnx"], write=lambda bundle, path, _: write_onnx(sharp_bundle("bigru"), path))
    changed = sharp_bundle("bigru")
    with torch.no_grad():
        changed.model.head.bias[2] += 0.01
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TARGETS, "onnx", target)
        with pytest.raises(NetchuError, match="does not read like its bundle"):
            plain(changed, "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []

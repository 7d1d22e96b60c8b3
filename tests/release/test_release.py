"""The release in the repository is whole and reads its own vectors; the command that makes one refuses what it must."""

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from netchu.cli import main
from netchu.commands.infer import main as infer
from netchu.core.budget import BUDGET_MB, MEGABYTE
from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.core.files import hash_file
from netchu.core.images import read_image
from netchu.ctc.decoders import Reading
from netchu.data.manifest import Line, write_manifest
from netchu.language.ngram import save_ngram
from netchu.language.smoothing import train_ngram
from netchu.model.bundle import load_bundle, read_stored
from netchu.reading.ensemble import TimedReading
from netchu.reading.line_reader import Settings
from netchu.reading.recipe import Recipe, read_recipe, write_recipe
from netchu.release.card import write_card
from netchu.release.folder import CARD, FOLDER, LARGEST_MB, RECIPE, VECTORS, held_out_lines, portable, release
from netchu.release.measured import ReleasedBundle
from netchu.release.vectors import (
    COUNT,
    MAX_DIFFERENCE,
    Vector,
    compare_engines,
    differences,
    load_vectors,
    make_vectors,
    open_exact,
)
from tests.support.bundles import untrained
from tests.support.commands import netchu
from tests.support.tiny import TEXTS

RELEASED = FOLDER
needs_release = pytest.mark.skipif(not RELEASED.is_dir(), reason=f"{FOLDER} is not in this checkout")


@needs_release
def test_the_released_files_are_those_of_the_card() -> None:
    recipe = read_recipe(RELEASED / RECIPE)  # holds each file to its hash
    card = (RELEASED / CARD).read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(.+)` \| [\d.]+ \| `([0-9a-f]{64})` \|$", card, re.MULTILINE))
    assert listed == {path.name: hash_file(path) for path in recipe.files}


@needs_release
def test_the_release_keeps_to_its_sizes() -> None:
    recipe = read_recipe(RELEASED / RECIPE)
    assert all(path.stat().st_size < LARGEST_MB * MEGABYTE for path in recipe.bundles)
    assert sum(path.stat().st_size for path in set(recipe.files)) <= BUDGET_MB * MEGABYTE
    assert all(path.parent == RELEASED for path in recipe.files)


@needs_release
def test_the_release_reads_its_own_vectors() -> None:
    vectors = load_vectors(RELEASED / VECTORS)
    assert len(vectors) == COUNT
    assert differences(open_exact(read_recipe(RELEASED / RECIPE)), vectors) == []


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """ensemble.json of two members, one untrained, with a language model, places, figures and tried choices."""
    folder = tmp_path_factory.mktemp("chosen")
    first = load_bundle(tiny_bundle)
    other = untrained(
        folder / "other.safetensors", replace(first.cfg, name="other_f0", width_stride=8), first.charset, seed=5
    )
    save_ngram(folder / "lm_made.nlm", train_ngram(TEXTS, order=3))
    (folder / "gazetteer.tsv").write_text("Hà Nội\tĐống Đa\tThổ Quan\n", encoding="utf-8")
    figures = {"lines": 8, "cer": 0.25, "wer": 0.5, "exact": 0.125, "kalapa_score": 0.4321}
    recipe = Recipe(
        bundles=(tiny_bundle, other),
        weights=(0.75, 0.25),
        settings=Settings(decoder="beam", convention="title_tones"),
        language=folder / "lm_made.nlm",
        places=folder / "gazetteer.tsv",
        measured={
            "nested": figures,
            "sources": {"kalapa": 8},
            "folds": [0, 1],
            "seconds_a_line": 0.1234,
            "command": f"netchu select --oof {folder / 'run'} runs/other_f0 --language {folder / 'lm_made.nlm'}",
        },
    )
    write_recipe(folder / "ensemble.json", recipe)
    (folder / "ensemble_choices.csv").write_text("mb\n1\n", encoding="utf-8")
    return folder / "ensemble.json"


def contents(folder: Path) -> dict[str, str]:
    """File name -> hash."""
    return {path.name: hash_file(path) for path in folder.iterdir()}


def test_a_release_holds_everything_and_reads_as_measured(
    chosen: Path, lines_folder: Path, manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "weights" / "release"
    done = netchu("release", "--ensemble", chosen, "--lines", lines_folder, "--manifest", manifest, "--out", out)
    assert done.returncode == 0, done.stderr
    assert sorted(contents(out)) == [
        "MODEL_CARD.md", "ensemble.json", "ensemble_choices.csv", "language.nlm", "other_f0.safetensors", "places.tsv",
        "tiny_f0.safetensors", "vectors.json",
    ]  # fmt: skip
    source, copy = read_recipe(chosen), read_recipe(out / RECIPE)
    assert (copy.weights, copy.settings) == (source.weights, source.settings)
    assert all(path.parent == out for path in copy.files)
    assert hash_file(out / "language.nlm") == hash_file(chosen.with_name("lm_made.nlm"))
    for old, new in zip(source.bundles, copy.bundles, strict=True):
        assert read_stored(old)[1]["hashes"]["weights"] == read_stored(new)[1]["hashes"]["weights"]

    vectors = load_vectors(out / VECTORS)
    assert len(vectors) == COUNT and any(v.text for v in vectors)
    read = open_exact(source).read([v.image for v in vectors])
    assert [v.text for v in vectors] == [timed.reading.text for timed in read]

    card = (out / CARD).read_text(encoding="utf-8")
    for path in copy.files:
        assert f"`{hash_file(path)}`" in card
    for said in (
        "| nested over writers | 8 | 25.00 % | 50.00 % | 12.5 % | 0.4321 |", "123 ms a line", "8 of kalapa; folds 0, 1",
        "oof outputs/tiny_f0/best.", "--out runs/other_f1/oof_1.npz", "--oof run runs/other_f0 --language",
        "Released as measured", "all but fold 0", "| train_folds.csv |", "learnt made-up addresses and no label",
        "is answered in title case", "the tone of oa, oe, uy stands",
    ):  # fmt: skip
        assert said in card
    for path in out.iterdir():
        assert str(chosen.parent).encode() not in path.read_bytes(), f"{path.name} names the maker's machine"
        assert str(manifest.parent).encode() not in path.read_bytes(), f"{path.name} names the maker's machine"


def test_refits_are_released_under_the_figures_of_what_was_measured(
    chosen: Path, tiny_bundle: Path, lines_folder: Path, manifest: Path, tmp_path: Path
) -> None:
    measured = load_bundle(tiny_bundle)
    cfg = replace(measured.cfg, name="sub/tiny_f5", fold=5, epochs=9)  # as configs/sub/tiny.py gives it
    whole = untrained(tmp_path / "whole.safetensors", cfg, measured.charset, averaged_1="a", averaged_2="b")
    out = tmp_path / "release"
    recipe = release(chosen, out, lines=lines_folder, manifests=[manifest], replaced={tiny_bundle: whole})
    assert [path.name for path in recipe.bundles] == ["tiny_f5.safetensors", "other_f0.safetensors"]
    assert read_stored(recipe.bundles[0])[1]["hashes"]["weights"] == read_stored(whole)[1]["hashes"]["weights"]
    assert recipe.measured is not None
    assert recipe.measured["measured_with"]["tiny_f5.safetensors"] == hash_file(tiny_bundle)
    card = (out / CARD).read_text(encoding="utf-8")
    assert "not figures of `tiny_f5.safetensors` (measured: tiny_f0, other epochs)" in card
    assert "learnt from for `tiny_f5.safetensors`" in card and "train_folds.csv, every line" not in card
    assert "outputs/tiny_f1/best.safetensors" in card
    assert "| 9; mean of 2 runs' weights, here the first |" in card


def test_what_is_no_refit_is_refused(chosen: Path, tiny_bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    first = load_bundle(tiny_bundle)
    other = tmp_path / "other.safetensors"
    for cfg, charset, message in (
        (replace(first.cfg, width_stride=8), first.charset, "width_stride differs"),
        (replace(first.cfg, height=48), first.charset, "height differs"),
        (first.cfg, Charset(first.charset.characters + "€"), "charset differs"),
    ):
        untrained(other, cfg, charset)
        with pytest.raises(NetchuError, match=message):
            release(chosen, tmp_path / "out", lines=lines_folder, manifests=[], replaced={tiny_bundle: other})
    with pytest.raises(NetchuError, match=r"other\.safetensors: is no bundle of"):
        release(chosen, tmp_path / "out", lines=lines_folder, manifests=[], replaced={other: tiny_bundle})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.safetensors"]


def test_a_refused_release_leaves_the_old_one(
    chosen: Path, lines_folder: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, few = tmp_path / "release", tmp_path / "few"
    release(chosen, out, lines=lines_folder, manifests=[manifest])
    before = contents(out)
    few.mkdir()
    shutil.copytree(lines_folder / "images" / "0", few / "images" / "0")
    rows = (lines_folder / "labels.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (few / "labels.tsv").write_text("".join(rows[:3]), encoding="utf-8")

    def refused(message: str, lines: Path = lines_folder, budget_mb: float = BUDGET_MB) -> None:
        with pytest.raises(NetchuError, match=message):
            release(chosen, out, lines=lines, manifests=[manifest], budget_mb=budget_mb)
        assert contents(out) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "release"]

    refused("over budget", budget_mb=0.01)
    refused(f"3 lines, {COUNT} are needed", lines=few)
    refused("labels.tsv: ", lines=tmp_path / "none")

    def misread(*arguments: object) -> list[Vector]:
        return [replace(v, text=v.text + "?") for v in make_vectors(*arguments)]  # type: ignore[arg-type]

    monkeypatch.setattr("netchu.release.folder.make_vectors", misread)
    refused("does not read its own vectors .line 1: reads")
    monkeypatch.setattr("netchu.release.folder.LARGEST_MB", 0.01)
    refused("tiny_f0.safetensors: .* stays under 0.01 MB")


def test_vectors_tell_what_differs(chosen: Path, lines_folder: Path) -> None:
    ensemble = open_exact(read_recipe(chosen))
    vectors = make_vectors(lines_folder, ensemble)
    assert differences(ensemble, vectors) == []
    spoilt = [replace(vectors[0], confidence=vectors[0].confidence + 0.1), replace(vectors[1], text="Huế?")]
    unsure, misread = differences(ensemble, spoilt)
    assert unsure.startswith("line 1: confidence")
    assert misread == f"line 2: reads {vectors[1].text!r}, the vectors say 'Huế?'"


def test_the_card_names_whose_weights_and_lines_were_used(tmp_path: Path, chosen: Path) -> None:
    recipe = read_recipe(chosen)
    helping = [Line(tmp_path / f"{i}.jpg", "Lyon", source="dhsd", aug="helping") for i in range(3)]
    write_manifest(tmp_path / "train_ext.csv", helping)
    about = read_stored(recipe.bundles[0])[1]
    about["config"]["backbone"] = "pplcnet_v4_slimmer"
    bundle = ReleasedBundle(recipe.bundles[0], about, about)
    vector = Vector(b"", "Huế", "Huế", 0.5)
    write_card(tmp_path / "CARD.md", recipe, [bundle], [vector], [tmp_path / "train_ext.csv"])
    card = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert "- pplcnet_v4_slimmer: started from the recognition network of PP-OCRv6 (PaddleOCR, Apache-2.0" in card
    assert "| train_ext.csv | dhsd | helping | 3 |" in card and "- dhsd: DHSD" in card


def test_broken_vectors(tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    with pytest.raises(NetchuError, match="no test vectors"):
        load_vectors(path)
    for content, message in (("{", "is no file of test vectors"), ('{"format": 9}', "format 9"), ("{}", "is no file")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(NetchuError, match=message):
            load_vectors(path)


def test_reading_without_naming_a_model(
    chosen: Path,
    lines_folder: Path,
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`infer.py --images DIR` reads with the release that comes with the package."""
    out = tmp_path / "weights"
    release(chosen, out, lines=lines_folder, manifests=[manifest])
    monkeypatch.setattr("netchu.reading.recipe.RELEASE", out / RECIPE)
    command = ["infer.py", "--images", str(lines_folder / "images"), "--out"]
    monkeypatch.setattr(sys, "argv", [*command, str(tmp_path / "s.csv")])
    infer()
    said = capsys.readouterr().out
    assert "tiny_f0.safetensors" in said and "48 lines in" in said

    (out / RECIPE).unlink()
    with pytest.raises(NetchuError, match=r"ensemble\.json: no released ensemble; install netchu again, .* --bundles"):
        infer()


def test_both_engines_read_a_release_alike(
    chosen: Path, lines_folder: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every held-out line of the folds that were measured; an engine that reads otherwise stops the release."""
    recipe = release(chosen, tmp_path / "out", lines=lines_folder, manifests=[manifest])
    lines = held_out_lines([manifest], recipe)
    assert len(lines) > 8 and {line.fold for line in lines} == {0, 1}
    torch_ensemble, onnx_ensemble = (open_exact(recipe, engine) for engine in ("torch", "onnx"))
    opened = [(str(line.path), lambda path=line.path: read_image(path)) for line in lines]
    apart, wrong = compare_engines(torch_ensemble, onnx_ensemble, opened)
    assert wrong == [] and apart < MAX_DIFFERENCE
    texts = {t.reading.text for t in onnx_ensemble.read([read_image(line.path) for line in lines])}
    assert len(texts) > 3, "the texts must differ for this test to mean something"

    member = onnx_ensemble.members[0]
    run = getattr(member, "_run")  # noqa: B009
    setattr(member, "_run", lambda images: np.roll(run(images), 1, axis=1))  # noqa: B010
    apart, wrong = compare_engines(torch_ensemble, onnx_ensemble, opened)
    assert apart > MAX_DIFFERENCE and wrong and "torch reads" in wrong[0]
    monkeypatch.setattr("netchu.release.folder.compare_engines", lambda *_: (1e-2, []))
    with pytest.raises(NetchuError, match=r"engines do not read alike .log-probabilities are 1.0e-02 apart"):
        release(chosen, tmp_path / "refused", lines=lines_folder, manifests=[manifest])
    assert not (tmp_path / "refused").exists()


def test_an_engine_that_asks_one_member_more_may_read_alike() -> None:
    """A line's likelihood may stand on either side of a threshold; the members that both asked are compared."""
    output = np.zeros((4, 3), np.float32)

    def asking(members: int) -> Any:
        timed = TimedReading(Reading("a", 0.9), 0.0, (output,) * members)
        return SimpleNamespace(read=lambda images, keep_outputs: [timed] * len(images))

    line = ("line", lambda: np.zeros((8, 8), np.uint8))
    assert compare_engines(asking(1), asking(2), [line]) == (0.0, [])


@needs_release
def test_figures_want_all_that_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither picture is drawn where the selection's table is missing."""
    (tmp_path / "release").mkdir()
    shutil.copy(RELEASED / VECTORS, tmp_path / "release")
    words = ["figures", "--release", str(tmp_path / "release"), "--out", str(tmp_path / "docs")]
    monkeypatch.setattr(sys, "argv", ["netchu", *words])
    with pytest.raises(NetchuError, match=r"ensemble_choices\.csv"):
        main()
    assert not (tmp_path / "docs").exists()


def test_paths_of_the_makers_machine_are_cut() -> None:
    said = "select --oof /a/b/run=/c/oof.npz,'/c d/x.npz' --out x/y.json ../z.tsv /a/b/run2"
    assert portable(said) == "select --oof run=c/oof.npz,'c d/x.npz' --out x/y.json ../z.tsv run2"

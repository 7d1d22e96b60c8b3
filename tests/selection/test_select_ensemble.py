"""`netchu`: from runs to ensemble.json, and from there to answers; every refusal in one line."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.metrics import score
from netchu.data.manifest import read_lines
from netchu.reading.recipe import read_recipe
from netchu.selection.search import Judged
from netchu.selection.select_ensemble import accepted_by_source
from netchu.selection.selection_table import read_selection_table
from tests.support.bundles import untrained
from tests.support.commands import assert_refused, netchu, run
from tests.support.selecting import make_lines
from tests.support.tiny import TEXTS


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> Path:
    """Two untrained runs with their out-of-fold files, a language model and places."""
    from tests.support.tiny import TINY

    folder = tmp_path_factory.mktemp("runs")
    for seed, cfg in enumerate((TINY, replace(TINY, name="other_f0", width_stride=8, height=48))):
        path = untrained(folder / cfg.name / "best.safetensors", cfg, seed=seed)
        done = netchu("oof", path, "--manifest", manifest, "--out", path.parent / "oof.npz")
        assert done.returncode == 0, done.stderr
        assert "CER" in done.stdout
    (folder / "texts.txt").write_text("\n".join(TEXTS * 3), encoding="utf-8")
    (folder / "places.tsv").write_text("Hà Nội\tĐống Đa\tThổ Quan\n", encoding="utf-8")
    for name, words in (("made", ()), ("all", ("--manifest", manifest)), ("f0", ("--manifest", manifest, "--fold", 0))):
        done = netchu("language", "train", "--texts", folder / "texts.txt", *words, "--out", folder / f"{name}.nlm")
        assert done.returncode == 0, done.stderr
    return folder


def select(runs: Path, out: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Both runs compete."""
    members = [runs / "tiny_f0", f"{runs}/other_f0/best.safetensors={runs}/other_f0/oof.npz"]
    return netchu("select", "--oof", *members, "--parts", 2, "--out", out, *words)


def test_from_runs_to_answers(runs: Path, lines_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ensemble.json"
    language = ("--language", runs / "made.nlm", "--places", runs / "places.tsv")
    done = select(runs, out, *language)
    assert done.returncode == 0, done.stderr
    for said in ("members:", "choices that no cheaper one beats:", "nested over writers:", "accepting 99 % exact"):
        assert said in done.stdout
    recipe = read_recipe(out)
    assert recipe.language is not None and len(recipe.files) == len(recipe.bundles) + 3
    assert sum(recipe.weights) == pytest.approx(1)
    assert recipe.measured is not None and "nested" in recipe.measured
    if recipe.settings.combination == "rescore":
        assert (recipe.settings.clear, recipe.settings.sure) == tuple(
            recipe.measured["cascade"][key] for key in ("clear", "sure")
        )
        assert recipe.measured["nested_all_asked"]["lines"] == recipe.measured["nested"]["lines"]
        assert sum(recipe.measured["cascade"]["done_at"]) == pytest.approx(1, abs=1e-3)
        assert recipe.measured["cascade"]["lost"] <= 0.0003
    assert recipe.measured["folds"] == [0] and recipe.measured["command"].startswith("netchu select")
    tried = read_selection_table(tmp_path / "ensemble_choices.csv")
    counts = tried.members.str.count(r" \+ ") + 1
    assert set(counts) == {1, 2} and tried.fits.all()
    assert counts[tried.chosen].tolist() == [len(recipe.bundles)]

    images = lines_folder / "images"
    answers, details = tmp_path / "a.csv", tmp_path / "a.jsonl"
    read = run("infer.py", "--images", images, "--ensemble", out, "--out", answers, "--details", details)
    assert read.returncode == 0, read.stderr
    assert f"total of {len(recipe.files)} files" in read.stdout
    rows = [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]
    texts = [line.split(",")[1] for line in answers.read_text(encoding="utf-8").splitlines()[1:]]
    assert [row["text"] for row in rows] == texts and len(rows) == 48
    for row in rows:
        assert "".join(c for c, _ in row["characters"]) == row["text"]
        assert all(0 <= p <= 1 for _, p in row["characters"]) and 0 <= row["confidence"] <= 1


def test_every_way_side_by_side(runs: Path) -> None:
    done = netchu("compare", "--oof", runs / "tiny_f0", runs / "other_f0", "--language", runs / "made.nlm",
                  "--places", runs / "places.tsv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for team in ("tiny_f0", "other_f0", "2 members, frame", "2 members, rescore"):
        for step in ("greedy", "beam", "+ n-gram", "+ gazetteer"):
            assert f"{team}, {step} " in done.stdout
    assert "frames apart" in done.stdout


def test_nothing_fits(runs: Path, tmp_path: Path) -> None:
    done = select(runs, tmp_path / "e.json", "--budget-mb", "0.01")
    assert "over the limits" in done.stdout
    assert_refused(done, "no member fits 0.01 MB")
    assert list(tmp_path.iterdir()) == []


def test_labels_of_the_measured_fold_are_not_read_twice(runs: Path, tmp_path: Path) -> None:
    """A language model that has learnt the held-out labels is refused, unless another one measures them."""
    out = tmp_path / "e.json"
    assert_refused(select(runs, out, "--language", runs / "all.nlm"), "trained on labels of fold 0")
    assert_refused(select(runs, out, "--held-out-language", runs / "f0.nlm"), "is used for measuring alone")
    done = select(runs, out, "--language", runs / "all.nlm", "--held-out-language", runs / "f0.nlm")
    assert done.returncode == 0, done.stderr
    assert read_recipe(out).language == tmp_path / Path(json.loads(out.read_text())["language"]["file"])


def test_outputs_of_another_model_are_refused(runs: Path, tmp_path: Path) -> None:
    pair = f"{runs}/other_f0/best.safetensors={runs}/tiny_f0/oof.npz"
    done = netchu("select", "--oof", pair, "--out", tmp_path / "e.json")
    assert_refused(done, "has another charset or geometry than the model behind")


def test_int8_copies_by_command(runs: Path, tmp_path: Path) -> None:
    bundle = runs / "tiny_f0" / "best.safetensors"
    packed = netchu("int8", bundle, "--out", tmp_path / "b.safetensors")
    assert packed.returncode == 0 and "MB, was" in packed.stdout
    soup = netchu("soup", "--bundles", bundle, bundle, "--out", tmp_path / "c.safetensors")
    assert soup.returncode == 0 and "average of 2 bundles" in soup.stdout
    assert_refused(netchu("select", "--oof", tmp_path), "best.safetensors: no such file")
    assert_refused(netchu("soup", "--bundles", bundle, "--out", tmp_path / "d"), "two bundles or more")


def test_a_bundle_that_saw_every_line_has_no_held_out_figures(tiny: Config, manifest: Path, tmp_path: Path) -> None:
    from netchu.selection.out_of_fold import measure_oof

    path = untrained(tmp_path / "a.safetensors", replace(tiny, fold=5))
    with pytest.raises(NetchuError, match="was trained on every line"):
        measure_oof(path, manifest, tmp_path / "oof.npz")
    assert {line.fold for line in read_lines(manifest)} <= set(range(5))


def test_broken_recipes(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    with pytest.raises(NetchuError, match="no such recipe"):
        read_recipe(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(NetchuError, match="cannot be read as JSON"):
        read_recipe(path)
    for content in ("[]", '{"format": 1}', '{"format": 1, "members": [{"file": 3, "weight": 1}]}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(NetchuError, match="is no recipe"):
            read_recipe(path)
    path.write_text('{"format": 9}', encoding="utf-8")
    with pytest.raises(NetchuError, match="format 9"):
        read_recipe(path)


def test_what_is_accepted_is_judged_by_thresholds_of_other_writers() -> None:
    """One source is right wherever it is sure; of the other one no line is sure."""
    lines = [replace(line, writer=f"{'ab'[i % 2]}/{i}") for i, line in enumerate(make_lines(400))]
    sure = [0.9 + 1e-4 * i if i % 2 == 0 else 0.5 for i in range(400)]
    right = [i % 2 == 0 and i > 40 for i in range(400)]
    honest = Judged(score(["x"], ["x"]), sure, right, [line.label for line in lines])
    found = accepted_by_source(lines, honest, [line.writer[0] for line in lines])
    assert found["b"] == (0.0, 1.0)
    assert 0.85 < found["a"][0] < 0.95 and found["a"][1] > 0.98
    unsure = honest._replace(right=[False] * 400)
    assert accepted_by_source(lines, unsure, [line.writer[0] for line in lines])["a"] == (0.0, 1.0)

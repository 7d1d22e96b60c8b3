"""New lines from real ones: only the folds that are named are read, and what is joined is what the label says."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.core.batches import Prediction
from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.model.bundle import load_bundle
from netchu.synthesis.effects import CLEAN_EFFECTS, EFFECTS, check_effects
from netchu.synthesis.fonts import PACKAGED
from netchu.synthesis.recombine import Recombiner, lines_of_folds, warp_ink
from netchu.synthesis.renderer import Renderer
from netchu.synthesis.word_crops import cut_line, lift_ink
from netchu.synthesis.words import cut_at, find_words, load_words, pull_ends, save_words
from tests.support.bundles import untrained
from tests.support.commands import Result, fresh
from tests.support.tiny import ROOT

PLAIN = {"fibre": 1.0}
TEXTS = ["Thôn Hạ Mỹ Tho", "Phố Huế Hà Nội", "Ấp Ba Long An", "Tổ Tư Gia Lai"]


def write_spaced(text: str, seed: int) -> np.ndarray:
    """A synthetic line with wide gaps between its words, uint8 (64, W)."""
    renderer = Renderer([PACKAGED / "PatrickHand.ttf"], 64, PLAIN)
    rng = np.random.default_rng(seed)
    words = [renderer.render(word, rng, "patrickhand-0003") for word in text.split()]
    paper = np.full((64, 26), 228, np.uint8)
    return np.hstack([piece for word in words for piece in (paper, word)] + [paper])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two writers with four lines each, in folds 0 and 1; the images of fold 1 are not images at all."""
    folder = tmp_path_factory.mktemp("lines")
    rows = []
    for fold, writer in enumerate(("an", "binh")):
        for number, text in enumerate(TEXTS):
            path = folder / f"{writer}{number}.png"
            if fold == 0:
                cv2.imwrite(str(path), write_spaced(text, number))
            else:
                path.write_bytes(b"secret")
            rows.append([path.name, text if fold == 0 else f"Kín {text}", writer, fold, "toy", ""])
    rows.append(["made.png", "Giả", "mali-0001", 0, "toy", "address"])
    with (folder / "train_folds.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["img_path", "text", "writer_id", "fold", "source", "aug"], *rows])
    return folder / "train_folds.csv"


def test_only_the_named_folds_are_read(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def note(path: Path) -> np.ndarray:
        opened.append(path)
        return read_image(path)

    monkeypatch.setattr("netchu.synthesis.recombine.read_image", note)
    recombiner = Recombiner(lines_of_folds(manifest, {0}), 48, check_effects(CLEAN_EFFECTS), 0.7)
    rng = np.random.default_rng(0)
    made = [recombiner.make(rng) for _ in range(60)]
    assert {path.name for path in opened} == {f"an{number}.png" for number in range(4)}
    assert all(writer == "toy/an" and "Kín" not in text and text != "Giả" for _, text, writer in made)
    with pytest.raises(NetchuError, match=r"binh\d\.png: is not an image"):
        Recombiner(lines_of_folds(manifest, {1}), 48, check_effects({}), 0.0).make(rng)
    with pytest.raises(NetchuError, match="no real line in folds 3"):
        lines_of_folds(manifest, {3})


def test_new_lines_join_the_words_of_one_writer(manifest: Path) -> None:
    recombiner = Recombiner(lines_of_folds(manifest, {0}), 64, check_effects(EFFECTS), 1.0)
    rng = np.random.default_rng(1)
    made = [recombiner.make(rng) for _ in range(40)]
    new = [text for _, text, _ in made if text not in TEXTS]
    assert len(set(new)) >= 8
    beginnings, ends = {text.split()[0] for text in TEXTS}, {text.split()[-1] for text in TEXTS}
    for text in new:
        assert text.split()[0] in beginnings and text.split()[-1] in ends
    assert all(image.dtype == np.uint8 and image.shape[0] == 64 for image, _, _ in made)


def test_lines_are_repeatable(manifest: Path) -> None:
    lines = lines_of_folds(manifest, {0})
    one, two = (Recombiner(lines, 64, check_effects(EFFECTS), 0.5) for _ in range(2))
    two.make(np.random.default_rng(8))
    assert np.array_equal(one.make(np.random.default_rng(9))[0], two.make(np.random.default_rng(9))[0])


def test_words_are_cut_at_their_gaps() -> None:
    image = write_spaced("Phố Huế Hà Nội", 1)
    line = cut_line(image, "Phố Huế Hà Nội")
    assert len(line.spans) == 4
    assert all(start < stop for start, stop in line.spans)
    assert all(a[1] < b[0] for a, b in zip(line.spans, line.spans[1:], strict=False))
    assert cut_line(image, "Phố Huế Hà Nội Ba Vì Tư Năm").spans == ()
    assert cut_line(np.full((64, 300), 220, np.uint8), "Huế").spans == ()
    head = line.take(0, 2)
    assert head.words == ("Phố", "Huế") and head.ink.shape[1] < line.ink.shape[1] * 0.7


def test_rules_are_not_ink() -> None:
    image = write_spaced("Phố Huế", 2)
    ruled = image.copy()
    ruled[3:5] = 40
    ruled[:, -8:-5] = 40
    clean, lifted = lift_ink(image), lift_ink(ruled)
    assert lifted[:7].max() < 0.3 and lifted[:, -10:].max() < 0.3
    assert abs(float(lifted[10:, :-12].sum()) - float(clean[10:, :-12].sum())) < 0.25 * float(clean.sum())


def test_warped_ink_keeps_its_height_and_most_of_its_ink() -> None:
    ink = lift_ink(write_spaced("Phố Huế", 2))
    for seed in range(6):
        warped = warp_ink(ink, np.random.default_rng(seed))
        assert len(warped) == len(ink) and 0.5 < warped.sum() / ink.sum() < 2.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model that knows the letters of TEXTS."""
    cfg = Config(backbone="cnn3", pretrained=False, height=64, width_stride=4, neck="none", hidden=8)
    return untrained(tmp_path_factory.mktemp("bundle") / "tiny.safetensors", cfg, Charset.from_texts(TEXTS))


def test_a_bundle_shows_where_words_stand(manifest: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters of `Thôn Hạ Mỹ Tho` said at steps 3, 6, 9 and so on; other lines are not read as their labels."""
    lines = lines_of_folds(manifest, {0})
    charset = Charset.from_texts(TEXTS)

    def spikes(model: object, inputs: list[np.ndarray]) -> list[Prediction]:
        said = charset.encode(TEXTS[0])
        log_probs = np.full((200, len(charset)), -9.0, np.float32)
        log_probs[:, 0] = -0.01
        for i, code in enumerate(said):
            log_probs[3 * i + 3, [0, code]] = -9.0, -0.01
        return [Prediction(log_probs, 0.0) for _ in inputs]

    monkeypatch.setattr("netchu.synthesis.words.predict", spikes)
    found = find_words(lines, bundle)
    assert [Path(path).name for path in found] == ["an0.png"]
    (words,) = found.values()
    width = read_image(lines[0].path).shape[1]
    columns = np.array(words) * width
    expected = [[3, 12], [18, 21], [27, 30], [36, 42]]  # steps of first and last letters; 4 pixels a step, 8 of padding
    assert np.allclose(columns, (np.array(expected) + 0.5) * 4 - 8, atol=0.01)


def test_words_that_nearly_touch_are_cut_between_their_letters() -> None:
    ink = np.zeros((20, 100), np.float32)
    for start, stop in ((5, 30), (32, 60), (61, 80), (97, 100)):  # the last is the border of the cell
        ink[5:15, start:stop] = 1.0
    words = [(0.08, 0.27), (0.35, 0.57), (0.64, 0.77)]
    assert cut_at(ink, words, letters=12) == [(5, 30), (32, 60), (61, 80)]
    assert cut_at(np.zeros((20, 100), np.float32), words, letters=12) == []


def test_outer_letters_are_pulled_in() -> None:
    said = np.array([0.0, 50, 60, 70, 80, 90, 900])
    assert pull_ends(said).tolist() == [20, 50, 60, 70, 80, 90, 120]
    assert pull_ends(np.array([3.0, 90.0])).tolist() == [3, 90]


def test_words_are_found_once_and_kept(
    manifest: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, path = lines_of_folds(manifest, {0}), tmp_path / "words.json"
    monkeypatch.setattr("netchu.synthesis.words.find_words", lambda *_: {"a.png": [(0.1, 0.2)]})
    save_words(path, lines, bundle)
    assert load_words(path) == {"a.png": [(0.1, 0.2)]}
    monkeypatch.setattr("netchu.synthesis.words.find_words", lambda *_: pytest.fail("found again"))
    save_words(path, lines, bundle)
    monkeypatch.setattr("netchu.synthesis.words.find_words", lambda *_: {"b.png": [(0.3, 0.4)]})
    save_words(path, [replace(line, text=f"{line.text} 1") for line in lines], bundle)
    assert load_words(path) == {"b.png": [(0.3, 0.4)]}
    path.write_text("{", encoding="utf-8")
    with pytest.raises(NetchuError, match=r"words\.json: cannot be read"):
        load_words(path)


def test_script_takes_a_bundle(manifest: Path, bundle: Path, tmp_path: Path) -> None:
    script = [ROOT / "synthetic_data" / "gendata_aug.py", "--manifest", manifest, "--folds", 0, "--count", 4]

    def make(bundle: Path, out: str) -> Result:
        return fresh(*script, "--jobs", 1, "--bundle", bundle, "--out", tmp_path / out)

    done = make(bundle, "made")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "made" / "labels.tsv").read_text(encoding="utf-8").splitlines()) == 4
    about = load_bundle(bundle)
    done = make(untrained(tmp_path / bundle.name, about.cfg, about.charset, seed=1), "made")
    assert done.returncode == 2 and "made: was begun with another bundle; choose another --out" in done.stderr
    assert "sees the words" not in done.stdout, "it is said before they are looked for"
    done = make(Path("none.safetensors"), "no")
    assert done.returncode == 2 and "none.safetensors: no such bundle" in done.stderr

"""`netchu read` and the public reader: without PyTorch, from any folder, in every format, and clear about bad input."""

import csv
import io
import json
import os
import shutil
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

import netchu
from netchu.cli import main
from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.model.graph import add_graph
from netchu.reading.ensemble import Ensemble
from netchu.reading.long_lines import join, window_starts, with_spaces
from netchu.reading.reader import open_image
from netchu.reading.recipe import RELEASE, plain_recipe, read_recipe
from netchu.release.vectors import load_vectors
from tests.support.commands import Result, fresh
from tests.support.forms import make_form
from tests.support.tiny import ROOT

LEAN = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "timm", "accelerate", "sklearn", "albumentations", "PIL",
                                  "pandas", "matplotlib", "filelock", "joblib"}:
            raise ImportError(name + " is blocked", name=name)
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, sys.argv.pop(1))
from netchu.cli import run
run()
"""


def lean(folder: Path, *words: object, **variables: str) -> Result:
    """The command in an environment that has only what a lean installation has, started in another folder."""
    return fresh("-c", LEAN, ROOT / "src", *words, cwd=folder, env=os.environ | variables)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three lines of the release's vectors as files, and one that is no image."""
    folder = tmp_path_factory.mktemp("read")
    for i, vector in enumerate(load_vectors(RELEASE.with_name("vectors.json"))[:3]):
        (folder / f"{i}.jpg").write_bytes(vector.data)
    (folder / "9.jpg").write_bytes(b"no image")
    return folder


def test_lines_are_read_without_pytorch(folder: Path, tmp_path: Path) -> None:
    texts = [vector.text for vector in load_vectors(RELEASE.with_name("vectors.json"))[:3]]
    one = lean(tmp_path, "read", folder / "0.jpg", "--threads", 1)
    assert (one.returncode, one.stdout) == (0, texts[0] + "\n"), one.stderr
    many = lean(tmp_path, "read", folder, "--threads", 1)
    assert many.returncode == 1 and "1 images could not be read" in many.stderr and "9.jpg" in many.stderr
    rows = list(csv.DictReader(many.stdout.splitlines()))
    assert [row["text"] for row in rows] == [*texts, ""] and [row["id"] for row in rows][3] == "9.jpg"
    done = lean(tmp_path, "read", folder, "--format", "json", "--out", "answers.jsonl", "--threads", 1)
    assert done.returncode == 1 and "answers.jsonl: 3 images read" in done.stdout
    answers = [json.loads(row) for row in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [a["text"] for a in answers] == [*texts, ""] and "9.jpg" in answers[3]["problem"]
    assert "".join(c for c, _ in answers[0]["characters"]) == texts[0]

    done = lean(tmp_path, "infer", "--images", folder, "--out", "s.csv", "--threads", 1)
    assert done.returncode == 1 and many.stderr.splitlines()[-1] in done.stderr
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["answer"] for row in rows] == [*texts, ""]


@pytest.mark.parametrize("filters", ["", "ignore", "error"])
def test_a_warning_is_one_line(folder: Path, tmp_path: Path, filters: str) -> None:
    page = PillowImage.open(folder / "0.jpg")
    page.save(tmp_path / "scan.tif", save_all=True, append_images=[page, page])
    done = lean(tmp_path, "read", "scan.tif", "--threads", 1, PYTHONWARNINGS=filters)
    said = [row for row in done.stderr.split("\n") if "holds 3 pages" in row]
    assert len(said) == 1 and said[0].startswith("warning: scan.tif:") and ".py" not in done.stderr, done.stderr


def test_pages_are_read_without_pytorch(tmp_path: Path) -> None:
    form = make_form("ruled", seed=1, rows=3)
    cv2.imwrite(str(tmp_path / "page.png"), form.photo)
    done = lean(tmp_path, "read", "--page", "page.png", "--format", "json", "--threads", 1)
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert done.returncode == 0 and len(rows) == 3, done.stderr
    assert all(row["page"] == "page.png" and len(row["box"]) == 4 and row["text"] for row in rows)
    done = lean(tmp_path, "read", "--page", "page.png", "--format", "alto", "--threads", 1)
    found = [e.get("CONTENT") for e in ElementTree.fromstring(done.stdout.encode()).iter() if e.tag.endswith("String")]
    assert found == [row["text"] for row in rows]


def test_images_of_one_name_in_two_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    for i in range(2):
        (tmp_path / f"{i}").mkdir()
        shutil.copy(folder / f"{i}.jpg", tmp_path / f"{i}" / "1.jpg")
    texts = [vector.text for vector in load_vectors(RELEASE.with_name("vectors.json"))[:2]]
    done = lean(tmp_path, "read", "0", "1", "--threads", 1)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(row["id"], row["text"]) for row in rows] == [("0/1.jpg", texts[0]), ("1/1.jpg", texts[1])], done.stderr


def test_bad_input_is_one_line(folder: Path, tmp_path: Path) -> None:
    bundle = read_recipe(RELEASE).bundles[0]
    (tmp_path / "cut.safetensors").write_bytes(bundle.read_bytes()[:100_000])
    shutil.copytree(RELEASE.parent, tmp_path / "weights")
    (tmp_path / "weights" / bundle.name).write_bytes(b"changed")
    for words, message in (
        ((folder / "0.jpg", "--engine", "torch"), "engine torch: .* is not installed; pip install 'netchu.train.'"),
        ((folder / "0.jpg", "--bundles", "cut.safetensors"), "is truncated or no safetensors file"),
        ((folder / "0.jpg", "--ensemble", "weights/ensemble.json"), "has changed since"),
        ((folder / "9.jpg",), "9.jpg: is not an image that can be decoded"),
        ((folder / "none.jpg",), "no such image or folder"),
        ((folder, "--format", "alto"), "give --page and a single photograph"),
    ):
        done = lean(tmp_path, "read", *words)
        assert done.returncode == 2 and done.stdout == ""
        with pytest.raises(NetchuError, match=message):
            raise NetchuError(done.stderr)
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_infer_says_what_it_cannot_write_or_score_before_it_reads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.tsv").write_text("1.jpg\tHuế\n", encoding="utf-8")
    for words, message in (
        (("--out", "."), "error: .: is a folder; name a file in it\n"),
        (("--samples", "s.xyz"), "error: --samples s.xyz: no kind of picture ends in .xyz; name it .png\n"),
        (("--labels", "labels.tsv"), "error: labels.tsv: names none of the images in "),
    ):
        done = lean(tmp_path, "infer", "--images", folder / "0.jpg", *words, WORLD_SIZE="")
        assert done.returncode == 2 and done.stderr.startswith(message), done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["labels.tsv"]


def test_infer_says_before_it_reads_that_it_cannot_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace")
    monkeypatch.setattr(sys, "argv", ["netchu", "infer", "--images", "none", "--samples", "s.png"])
    with pytest.raises(NetchuError, match=r"s\.png: OpenCV .* cannot draw it"):
        main()


def test_a_bundle_needs_a_graph_for_onnxruntime(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    path, image = tmp_path / "a.safetensors", str(lines_folder / "images" / "0" / "1.jpg")
    shutil.copy(bundle, path)
    with pytest.raises(NetchuError, match="has no graph for onnxruntime; release it"):
        netchu.Reader(bundles=[path], engine="onnx")
    before = netchu.Reader(bundles=[path]).read(image)
    add_graph(path)
    after = netchu.Reader(bundles=[path], engine="onnx").read(image)
    assert after.text == before.text and after.confidence == pytest.approx(before.confidence, abs=1e-4)
    with pytest.raises(NetchuError, match="engine paper: there is none of that name; there are: auto, onnx, torch"):
        netchu.Reader(bundles=[path], engine="paper")
    with pytest.raises(NetchuError, match="precision bf16: engine onnx computes in fp32"):
        bf16 = Ensemble.from_recipe(plain_recipe([path]), engine="onnx", precision="bf16")
        bf16.read([np.zeros((40, 200), np.uint8)], keep_outputs=True)


def test_the_reader_takes_images_of_every_kind(folder: Path) -> None:
    reader, path = netchu.Reader(threads=1, engine="onnx"), folder / "0.jpg"
    expected = reader.read(str(path))
    assert expected.text and expected.characters and expected.accept is not None
    colour = cv2.imread(str(path))
    pillow = PillowImage.open(path)
    deep = np.asarray(pillow.convert("L")).astype(np.uint16) * 257
    kinds = [path, path.read_bytes(), pillow, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), colour, deep]
    kinds += [PillowImage.fromarray(deep), PillowImage.fromarray(deep / np.float32(65535))]
    assert [reading.text for reading in reader.read(kinds)] == [expected.text] * len(kinds)
    assert isinstance(netchu.read(path), netchu.Reading)
    for wrong, message in (
        (b"no image", "the bytes: is not an image"),
        (PillowImage.open(io.BytesIO(path.read_bytes()[:3000])), "the JpegImageFile: cannot be decoded"),
        (7, "the int: is no image; give a path"),
        ("a\0b.png", r"b\.png: image cannot be read \(embedded null byte"),
        (np.zeros((2, 3, 9), np.uint8), r"array \(2, 3, 9\): expected"),
        (np.array(["a"]), "expected"),
        (np.random.default_rng(0).integers(0, 255, (900, 9), dtype=np.uint8), "the ndarray: is 9 x 900 pixels"),
    ):
        with pytest.raises(NetchuError, match=message):
            reader.read(wrong)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0", b"Exif\0\0bad"]
)
def test_a_pillow_image_lies_as_its_file_does(tmp_path: Path, exif: bytes) -> None:
    """Turned by a quarter, or as it is where its EXIF is damaged."""
    drawn = cv2.putText(np.full((60, 300), 230, np.uint8), "Hue", (9, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 20, 3)
    PillowImage.fromarray(drawn).save(tmp_path / "a.png")
    PillowImage.open(tmp_path / "a.png").save(tmp_path / "a.jpg", exif=exif)
    of_file, of_pillow = (open_image(image) for image in (tmp_path / "a.jpg", PillowImage.open(tmp_path / "a.jpg")))
    assert of_file.shape == of_pillow.shape and int(np.abs(of_file.astype(int) - of_pillow).max()) < 20


def test_many_lines_are_shared_out_among_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings stay in order and are those of one thread; the language model is not opened again."""
    paths = [folder / f"{i}.jpg" for i in range(3)]
    reader = netchu.Reader(threads=2, engine="onnx")
    alone = [reader.read(path) for path in paths]
    threads: set[str] = set()
    inside = Ensemble.read_prepared

    def record(ensemble: Ensemble, *args: Any, **kwargs: Any) -> Any:
        threads.add(threading.current_thread().name)
        assert ensemble.reader is reader.ensemble.reader
        return inside(ensemble, *args, **kwargs)

    monkeypatch.setattr(Ensemble, "read_prepared", record)
    monkeypatch.setattr("netchu.reading.ensemble.load_ngram", None)
    for shared, one in zip(reader.read(paths * 6), alone * 6, strict=True):
        assert shared.text == one.text and shared.confidence == pytest.approx(one.confidence, abs=1e-4)
    assert threads and threading.current_thread().name not in threads
    with pytest.raises(NetchuError, match=r"none.jpg: image cannot be read"):
        reader.read([*paths * 6, folder / "none.jpg"])


def test_a_long_line_is_read_in_windows() -> None:
    """Repetitions of a line, at twelve some seven times as wide as the network takes, are read like one, so many times.
    Squeezed to its width the whole line would be unreadable."""
    ensemble = Ensemble.from_recipe(read_recipe(RELEASE), engine="onnx", threads=1)
    image = load_vectors(RELEASE.with_name("vectors.json"))[3].image
    image = np.asarray(cv2.copyMakeBorder(image, 0, 0, 40, 40, cv2.BORDER_REPLICATE), np.uint8)
    one = ensemble.read([image])[0].reading.text
    assert len(one) > 20 and 12 * image.shape[1] > 5 * ensemble.geometries[0].max_width
    for times in (4, 8, 12):
        found = ensemble.read([np.asarray(np.hstack([image] * times), np.uint8)])[0].reading.text
        assert found == " ".join([one] * times)


@pytest.mark.parametrize("name", ["1.jpg", "2.jpg", "4.jpg"])
def test_two_rows_of_one_field_are_read_one_after_the_other(name: str) -> None:
    ensemble = Ensemble.from_recipe(read_recipe(RELEASE), engine="onnx", threads=1)
    image = read_image(ROOT / "docs/lines" / name)
    row = image[10:52, :740]  # without the field's rules
    one, two = (found.reading.text for found in ensemble.read([image, np.asarray(np.vstack([row, row]), np.uint8)]))
    assert len(one) > 20 and two == f"{one} {one}"


def test_wide_paper_in_a_long_line_is_a_space() -> None:
    log_probs = np.full((60, 4), -9.0, np.float32)
    best = np.zeros(60, int)
    best[[2, 10, 30, 40, 59]] = 2, 3, 2, 1, 3  # near, far, a space already on either side
    log_probs[np.arange(60), best] = -0.1
    spaced = with_spaces(log_probs, 1, 16).argmax(axis=1)
    assert np.flatnonzero(spaced != best).tolist() == [20] and spaced[20] == 1


def test_windows_are_joined_at_blanks() -> None:
    """What two windows see of one line becomes that line again, whatever they say at their edges."""
    rng, stride, size = np.random.default_rng(0), 8, 512
    whole = np.full((500, 6), -9.0, np.float32)
    whole[np.arange(500), np.where(np.arange(500) % 3 == 0, rng.integers(1, 6, 500), 0)] = -0.1
    starts = window_starts(500 * stride, size, 16)
    assert starts[0] == 0 and starts[-1] == 500 * stride - size and all(start % 32 == 0 for start in starts)
    assert all(b - a <= size - 6 * 16 for a, b in pairwise(starts))
    parts = [whole[start // stride : (start + size) // stride].copy() for start in starts]
    for part in parts[1:]:
        part[:3] = np.roll(part[:3], 1, axis=1)  # a window knows little of what it cuts through
    assert np.array_equal(join(parts, starts, stride), whole)
    assert window_starts(size, size, 64) == [0] and join([whole], [0], stride) is whole


def test_importing_netchu_is_light() -> None:
    code = "import sys, netchu; print([m for m in ('torch', 'cv2', 'numpy', 'onnxruntime') if m in sys.modules])"
    done = fresh("-c", code, check=True)
    assert done.stdout.strip() == "[]"

"""netchu-lite: the text of torch without torch, and one line for every file that it cannot read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.export.onnx_file import write_onnx
from netchu.reading.ensemble import Ensemble
from netchu.reading.lite import KEY, LiteRecogniser
from tests.support.bundles import sharp_bundle
from tests.support.commands import run_unread
from tests.support.tiny import ROOT

onnx = pytest.importorskip("onnx")
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "timm", "accelerate", "sklearn", "albumentations", "PIL"}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocker())
import runpy
sys.argv = ["netchu-lite", *sys.argv[1:]]
runpy.run_module("netchu.reading.lite", run_name="__main__")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model that answers with many characters."""
    path = tmp_path_factory.mktemp("lite") / "model.onnx"
    write_onnx(sharp_bundle("bilstm"), path)
    return path


def test_reads_what_torch_reads(model: Path, lines_folder: Path) -> None:
    images = [read_image(path) for path in sorted(lines_folder.glob("images/*/*.jpg"))]
    expected = [r.reading for r in Ensemble([sharp_bundle("bilstm")], precision="fp32").read(images)]
    found = LiteRecogniser(model, threads=1).read(images)
    assert [r.text for r in found] == [r.text for r in expected]
    assert len({r.text for r in found}) > len(images) // 2, "the texts must differ for this test to mean something"
    for a, b in zip(found, expected, strict=True):
        assert a.confidence == pytest.approx(b.confidence, abs=1e-4)


def test_runs_where_torch_cannot_be_imported(model: Path, lines_folder: Path) -> None:
    images = sorted(lines_folder.glob("images/0/*.jpg"))[:3]
    command = [sys.executable, "-c", BLOCKED, str(model), *map(str, images), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    expected = LiteRecogniser(model, threads=1).read([read_image(path) for path in images])
    rows = [f"{path},{r.text},{r.confidence:.4f}" for path, r in zip(images, expected, strict=True)]
    assert done.stdout.replace('"', "").splitlines() == [row.replace('"', "") for row in rows]


def test_the_command_writes_a_file_or_says_in_one_line_why_not(model: Path, lines_folder: Path, tmp_path: Path) -> None:
    image, out = str(next(lines_folder.glob("images/0/*.jpg"))), tmp_path / "answers.csv"
    command = [sys.executable, "-m", "netchu.reading.lite", str(model), image, "--threads", "1", "--out", str(out)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert out.read_text(encoding="utf-8").splitlines()[0] == "id,answer,confidence"
    out.unlink()
    command.insert(command.index(image) + 1, str(tmp_path / "none.jpg"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "none.jpg: image cannot be read" in done.stderr and done.stderr.count("\n") == 1
    assert not out.exists()


def test_answers_that_nobody_reads_are_no_error(model: Path, lines_folder: Path) -> None:
    images = map(str, sorted(lines_folder.glob("images/0/*.jpg")))
    done = run_unread("-m", "netchu.reading.lite", str(model), *images, "--threads", "1")
    assert (done.returncode, done.stderr) == (141, "")


def test_unusable_models_are_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no such model"):
        LiteRecogniser(tmp_path / "none.onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(model.read_bytes()[:5000])
    with pytest.raises(NetchuError, match="damaged or no ONNX model"):
        LiteRecogniser(damaged)

    def changed(edit: object) -> Path:
        graph = onnx.load(model)
        about = json.loads({p.key: p.value for p in graph.metadata_props}[KEY])
        edit(about)  # type: ignore[operator]
        onnx.helper.set_model_props(graph, {KEY: json.dumps(about)} if about else {})
        path = tmp_path / "changed.onnx"
        onnx.save(graph, path)
        return path

    with pytest.raises(NetchuError, match="netchu did not export it"):
        LiteRecogniser(changed(lambda about: about.clear()))
    with pytest.raises(NetchuError, match="export format 9"):
        LiteRecogniser(changed(lambda about: about.update(format=9)))
    with pytest.raises(NetchuError, match="preprocessing with min_contrast=1"):
        LiteRecogniser(changed(lambda about: about["preprocessing"].update(min_contrast=1)))

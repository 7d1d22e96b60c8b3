"""PP-OCRv6's weights as a bundle: the same answers as the original file, and one line for any other file."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from netchu.cli import main
from netchu.core.errors import NetchuError
from netchu.model.bundle import load_bundle
from netchu.model.ppocr import import_ppocr


def original() -> Path:
    """The file in the package rapidocr, which is found without importing it."""
    spec = find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package rapidocr is not installed (pip install rapidocr)")
    return Path(spec.submodule_search_locations[0]) / "models" / "PP-OCRv6_rec_small.onnx"


def test_imported_weights_answer_like_the_original() -> None:
    import onnxruntime

    path = original()
    model, cfg, charset, count = import_ppocr(path)
    assert count == 18709 and set("aắươđĐ0,").intersection(charset.characters) == set("aươđĐ0,")
    ink = np.zeros((2, 1, 48, 320), np.float32)
    ink[:, :, 10:40] = np.random.default_rng(0).uniform(0, 1, (2, 1, 30, 320)) > 0.7
    with torch.inference_mode():
        ours = model(torch.from_numpy(ink)).double().log_softmax(-1).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"x": np.repeat(1 - 2 * ink, 3, axis=1)})[0].astype(np.float64)
    names = ["", *onnx_characters(path), " "]
    kept = theirs[..., [0, *(names.index(character) for character in charset.characters)]]
    sure = kept > 1e-4  # their softmax is over all characters, ours over the kept ones: differences are compared
    gap = (np.log(np.maximum(kept, 1e-30)) - np.log(kept[..., :1])) - (ours - ours[..., :1])
    assert ours.shape == (2, 40, len(charset)) and sure.sum() > 80
    assert abs(gap[sure]).max() < 1e-3
    assert cfg.width_stride == 8


def onnx_characters(path: Path) -> list[str]:
    properties = {item.key: item.value for item in onnx.load(path).metadata_props}
    return properties["character"].split("\n")


def test_the_verb_writes_a_bundle_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "start.safetensors"
    monkeypatch.setattr("sys.argv", ["netchu", "import-weights", str(original()), "--out", str(out)])
    main()
    bundle = load_bundle(out)
    assert "of its 18709 characters" in capsys.readouterr().out and bundle.cfg.backbone == "pplcnet_v4"
    assert out.stat().st_size < 7e6


def foreign(change: str, tmp_path: Path) -> Path:
    """A changed copy of the file."""
    path = tmp_path / "changed.onnx"
    if change == "truncated":
        path.write_bytes(original().read_bytes()[:100_000])
        return path
    model: Any = onnx.load(original())
    if change == "wider":
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "conv2d_72.w_0")
        weight.CopyFrom(numpy_helper.from_array(np.zeros((97, 48, 1, 1), np.float32), weight.name))
    if change == "unnamed":
        del model.metadata_props[:]
    if change == "other script":
        item = next(item for item in model.metadata_props if item.key == "character")
        item.value = "\n".join(chr(0x4E00 + i) for i in range(18708))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("truncated", "is truncated or no ONNX file"),
        ("wider", r"not PP-OCRv6's small recognition network \(Pointwise 5 has weight \(97, 48, 1, 1\)"),
        ("unnamed", "1 characters are named in it"),
        ("other script", "its charset has no Latin letter"),
    ],
)
def test_another_file_is_refused_in_one_line(change: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match=says) as error:
        import_ppocr(foreign(change, tmp_path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no such file"):
        import_ppocr(tmp_path / "nothing.onnx")

"""Bundles: everything inside, fp16, small; and each way in which a file can be wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.bundle import load_bundle, read_bundle, save_bundle, warm_start
from netchu.model.recogniser import build_model
from tests.support.bundles import untrained

CHARSET = Charset("abcđ ")


@pytest.fixture
def bundle(tiny: Config, tmp_path: Path) -> Path:
    return untrained(tmp_path / "a.safetensors", tiny, CHARSET, metrics={"cer": 0.5}, manifest="m")


def test_round_trip(bundle: Path, tiny: Config) -> None:
    loaded = load_bundle(bundle)
    assert loaded.cfg == tiny
    assert loaded.charset == CHARSET
    assert loaded.metrics == {"cer": 0.5}
    assert not loaded.model.training
    torch.manual_seed(0)
    original = build_model(tiny, len(CHARSET)).state_dict()
    for name, tensor in loaded.model.state_dict().items():
        assert torch.allclose(tensor.float(), original[name].float(), atol=1e-3)
    assert all(t.dtype == torch.float16 for t in load_file(bundle).values() if t.is_floating_point())
    _, about = read_bundle(bundle)
    assert about["hashes"]["manifest"] == "m"


def test_value_beyond_fp16_stays_exact(tiny: Config, tmp_path: Path) -> None:
    model = build_model(tiny, len(CHARSET))
    with torch.no_grad():
        model.head.bias[0] = 1e6
    save_bundle(tmp_path / "big.safetensors", model, tiny, CHARSET, metrics={}, hashes={})
    assert float(load_bundle(tmp_path / "big.safetensors").model.head.bias[0]) == 1e6


def test_bundle_for_pretrained_backbone_needs_no_hub(tiny: Config, tmp_path: Path) -> None:
    cfg = replace(tiny, backbone="tf_efficientnetv2_b0", pretrained=False)
    model = build_model(cfg, len(CHARSET))
    path = tmp_path / "p.safetensors"
    save_bundle(path, model, replace(cfg, pretrained=True), CHARSET, metrics={}, hashes={})
    assert load_bundle(path).cfg.pretrained is False


def rewrite(path: Path, **changes: object) -> None:
    """Change fields of a bundle's metadata."""
    tensors, about = read_bundle(path)
    save_file(tensors, path, metadata={"netchu": json.dumps({**about, **changes})})


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_truncated_file(bundle: Path, keep: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:keep])
    with pytest.raises(NetchuError, match="is truncated or no safetensors file") as error:
        load_bundle(bundle)
    assert "\n" not in str(error.value)


def test_changed_weights(bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[-10] ^= 0x55
    bundle.write_bytes(content)
    with pytest.raises(NetchuError, match="do not match the hash inside"):
        load_bundle(bundle)


def test_foreign_and_newer_files(bundle: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(NetchuError, match="no netchu bundle"):
        load_bundle(foreign)
    with pytest.raises(NetchuError, match="no such bundle"):
        load_bundle(tmp_path / "none.safetensors")
    rewrite(bundle, format=99)
    with pytest.raises(NetchuError, match="bundle format 99, this version reads 1"):
        load_bundle(bundle)


def test_weights_of_another_geometry(bundle: Path, tiny: Config) -> None:
    rewrite(bundle, config={**tiny.to_dict(), "hidden": 64})
    with pytest.raises(NetchuError, match="do not have the geometry of its config"):
        load_bundle(bundle)


def test_unknown_field_in_a_bundle(bundle: Path, tiny: Config) -> None:
    rewrite(bundle, config={**tiny.to_dict(), "strides": 4})
    with pytest.raises(NetchuError, match=re.escape("unknown key 'strides'")):
        load_bundle(bundle)


def test_warm_start_moves_rows_by_character(bundle: Path, tiny: Config) -> None:
    torch.manual_seed(1)
    charset = Charset("xđba")
    model = build_model(tiny, len(charset))
    fresh = model.head.weight.detach().clone()
    said = warm_start(model, replace(tiny, load_weight=str(bundle)), charset, ["xa", "x"])
    old = load_bundle(bundle).model.head.weight
    assert "characters new to it: 'x' 2" in said
    assert torch.equal(model.head.weight[0], old[0])
    for character in "đba":
        new_row, old_row = charset.encode(character)[0], CHARSET.encode(character)[0]
        assert torch.equal(model.head.weight[new_row], old[old_row])
    assert torch.equal(model.head.weight[1], fresh[1])


def test_new_letters_start_from_the_nearest_known_one(bundle: Path, tiny: Config) -> None:
    charset = Charset("aấ1")
    model = build_model(tiny, len(charset))
    said = warm_start(model, replace(tiny, load_weight=str(bundle)), charset, [])
    assert "new letters start from the nearest known ones: ấ from a" in said and "1 from" not in said
    known, new = charset.encode("aấ")
    assert torch.equal(model.head.weight[new], model.head.weight[known])
    assert torch.isclose(model.head.bias[new], model.head.bias[known] - 1)


def test_warm_start_for_another_script_is_refused(bundle: Path, tiny: Config) -> None:
    charset = Charset("жщ")
    with pytest.raises(NetchuError, match="its charset shares no letter with these lines"):
        warm_start(build_model(tiny, len(charset)), replace(tiny, load_weight=str(bundle)), charset, [])


def test_warm_start_from_another_geometry_names_the_field(bundle: Path, tiny: Config) -> None:
    other = replace(tiny, hidden=64, load_weight=str(bundle))
    with pytest.raises(NetchuError, match="hidden is 48 in it, 64 here"):
        warm_start(build_model(other, len(CHARSET)), other, CHARSET, [])


def test_unwritable_folder_leaves_nothing(tiny: Config, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(NetchuError, match="cannot be written"):
        save_bundle(blocked / "a.safetensors", build_model(tiny, 5), tiny, Charset("abcd"), metrics={}, hashes={})
    assert list(tmp_path.iterdir()) == [blocked]

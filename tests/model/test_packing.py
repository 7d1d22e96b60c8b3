"""Bundles made of bundles: int8 copies and soups."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.bundle import load_bundle, read_bundle
from netchu.model.bundle_file import dequantise
from netchu.model.packing import average_bundles, pack_int8, quantise
from tests.support.bundles import untrained

CHARSET = Charset("abc ")


def make(path: Path, cfg: Config, seed: int = 0, charset: Charset = CHARSET) -> Path:
    return untrained(path, cfg, charset, seed=seed, metrics={"cer": 0.5}, manifest="x")


def restored(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a reader makes of stored tensors."""
    arrays = dequantise({name: tensor.numpy() for name, tensor in stored.items()})
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def test_rows_come_back_within_half_a_step() -> None:
    torch.manual_seed(0)
    tensors = {"w": torch.randn(40, 8, 5) * torch.logspace(-4, 2, 40)[:, None, None], "b": torch.randn(40),
               "n": torch.arange(3)}  # fmt: skip
    stored = quantise(tensors)
    assert stored["w"].dtype == torch.int8 and stored["b"] is tensors["b"]
    again = restored(stored)
    assert list(again) == list(tensors)
    step = tensors["w"].flatten(1).abs().amax(1) / 127
    assert ((again["w"] - tensors["w"]).flatten(1).abs().amax(1) <= 0.5001 * step).all()
    assert torch.equal(restored(tensors)["w"], tensors["w"])
    zeros = restored(quantise({"w": torch.zeros(64, 64)}))["w"]
    assert torch.equal(zeros, torch.zeros(64, 64))


def test_int8_copy_is_half_as_large_and_nearly_the_same(tiny: Config, tmp_path: Path) -> None:
    path = make(tmp_path / "a.safetensors", tiny)
    pack_int8(path, tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").stat().st_size < 0.65 * path.stat().st_size
    one, two = load_bundle(path), load_bundle(tmp_path / "b.safetensors")
    assert (two.cfg, two.charset, two.metrics) == (one.cfg, one.charset, one.metrics)
    image = torch.rand(1, 1, 32, 128)
    with torch.inference_mode():
        assert (one.model(image) - two.model(image)).abs().max() < 0.05 * one.model(image).abs().max() + 0.05


def test_soup_is_the_mean(tiny: Config, tmp_path: Path) -> None:
    paths = [make(tmp_path / f"{seed}.safetensors", tiny, seed) for seed in (1, 2)]
    average_bundles(paths, tmp_path / "soup.safetensors", [1, 3])
    (one, _), (two, _), (soup, about) = (read_bundle(p) for p in (*paths, tmp_path / "soup.safetensors"))
    for name in one:
        if one[name].is_floating_point():
            assert torch.allclose(soup[name].float(), 0.25 * one[name].float() + 0.75 * two[name].float(), atol=2e-3)
    assert about["metrics"] == {} and {"averaged_1", "averaged_2", "manifest"} <= set(about["hashes"])
    assert soup.keys() == one.keys()
    assert about["config"]["name"] == "soup"
    (tmp_path / "mean_f0").mkdir()
    average_bundles(paths, tmp_path / "mean_f0" / "best.safetensors")
    assert read_bundle(tmp_path / "mean_f0" / "best.safetensors")[1]["config"]["name"] == "mean_f0"
    average_bundles([*paths, paths[0]], tmp_path / "three.safetensors")
    average_bundles([tmp_path / "three.safetensors", paths[1]], tmp_path / "again.safetensors")
    hashes = read_bundle(tmp_path / "again.safetensors")[1]["hashes"]
    assert [key for key in hashes if key.startswith("averaged_")] == ["averaged_1", "averaged_2"]
    load_bundle(tmp_path / "soup.safetensors")


def test_a_soup_of_several_folds_has_seen_every_line(tiny: Config, tmp_path: Path) -> None:
    paths = [make(tmp_path / f"{fold}.safetensors", replace(tiny, fold=fold), fold) for fold in (0, 1)]
    average_bundles(paths, tmp_path / "soup.safetensors")
    assert read_bundle(tmp_path / "soup.safetensors")[1]["config"]["fold"] == 5


def test_of_a_larger_charset_the_common_rows_are_averaged(tiny: Config, tmp_path: Path) -> None:
    one = make(tmp_path / "1.safetensors", tiny)
    larger = make(tmp_path / "2.safetensors", tiny, 1, Charset("ab%c "))
    average_bundles([one, larger], tmp_path / "soup.safetensors")
    soup, first, second = (read_bundle(tmp_path / f"{name}.safetensors")[0] for name in ("soup", "1", "2"))
    assert load_bundle(tmp_path / "soup.safetensors").charset == CHARSET
    rows = {character: i for i, character in enumerate(read_bundle(larger)[1]["charset"], 1)}
    for i, character in enumerate(CHARSET.characters, 1):
        mean = (first["head.weight"][i] + second["head.weight"][rows[character]]) / 2
        assert torch.allclose(soup["head.weight"][i].float(), mean.float(), atol=1e-3)


def test_soup_of_strangers_is_refused(tiny: Config, tmp_path: Path) -> None:
    one = make(tmp_path / "1.safetensors", tiny)
    other = make(tmp_path / "2.safetensors", replace(tiny, hidden=32))
    with pytest.raises(NetchuError, match=r"2.safetensors: hidden is 32, in .*1.safetensors 48"):
        average_bundles([one, other], tmp_path / "soup.safetensors")
    stranger = make(tmp_path / "3.safetensors", replace(tiny, load_weight="pretrained.safetensors"))
    with pytest.raises(NetchuError, match=r"load_weight is 'pretrained.safetensors'"):
        average_bundles([one, stranger], tmp_path / "soup.safetensors")
    average_bundles([one, stranger], tmp_path / "related.safetensors", any_start=True)
    load_bundle(tmp_path / "related.safetensors")
    with pytest.raises(NetchuError, match="its charset lacks 'c'"):
        average_bundles([one, make(tmp_path / "4.safetensors", tiny, 0, Charset("abd "))], tmp_path / "s.safetensors")
    with pytest.raises(NetchuError, match="two bundles or more"):
        average_bundles([one], tmp_path / "soup.safetensors")
    for weights in ([1], [1, math.nan], [1, math.inf], [-1, 2], [0, 0]):
        with pytest.raises(NetchuError, match="need as many weights"):
            average_bundles([one, one], tmp_path / "soup.safetensors", weights)
    assert not (tmp_path / "soup.safetensors").exists()

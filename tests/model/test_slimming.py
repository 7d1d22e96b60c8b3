"""A quicker network from a trained one: what its blocks can spare goes, and the rest says nearly the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from netchu.cli import main
from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.bundle import Bundle, load_bundle, save_bundle
from netchu.model.pplcnet import SLIM, Block
from netchu.model.recogniser import build_model
from netchu.model.slimming import slim
from tests.support.bundles import untrained

CHARSET = Charset("abc ")
PP = Config(
    backbone="pplcnet_v4", pretrained=False, height=32, width_stride=8, pool="mean", neck="lightsvtr", hidden=120
)


@pytest.fixture
def spare(tmp_path: Path) -> Bundle:
    """A network in which only as many hidden channels matter as a slim one has, anywhere among the others."""
    torch.manual_seed(0)
    model, path = build_model(PP, len(CHARSET)), tmp_path / "whole.safetensors"
    for block in model.modules():
        if isinstance(block, Block):
            needed = SLIM[block.expand.in_channels, block.compress.out_channels]
            block.compress.weight.data[:, torch.randperm(block.expand.out_channels)[needed:]] = 0
    save_bundle(path, model, PP, CHARSET, metrics={}, hashes={})
    return load_bundle(path)


def test_channels_that_do_nothing_go_first(spare: Bundle) -> None:
    images = [torch.rand(1, 1, 32, width) for width in (96, 160, 160, 224)]
    quick = slim(spare, images)
    assert sum(p.numel() for p in quick.parameters()) < 0.65 * sum(p.numel() for p in spare.model.parameters())
    with torch.inference_mode():
        for image in (*images, torch.rand(1, 1, 32, 128)):
            whole, left = spare.model(image), quick(image)
            assert (whole - left).abs().max() < 0.02 * (whole - whole.mean()).abs().max()


def test_only_that_network_can_be_made_slim(tiny: Config, tmp_path: Path) -> None:
    bundle = load_bundle(untrained(tmp_path / "b.safetensors", tiny, CHARSET))
    with pytest.raises(NetchuError, match=r"b.safetensors: its backbone is cnn3; only pplcnet_v4 can be made slim"):
        slim(bundle, [])


def test_the_verb_writes_a_bundle_to_train_on(
    spare: Bundle, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "quick.safetensors"
    monkeypatch.setattr("sys.argv", ["netchu", "slim", str(spare.path), "--manifest", str(manifest), "--out", str(out)])
    main()
    assert "million weights; train on from it" in capsys.readouterr().out
    quick = load_bundle(out)
    assert quick.cfg == replace(spare.cfg, backbone="pplcnet_v4_slim", name="quick")

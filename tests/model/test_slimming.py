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
from netchu.model.pplcnet import WIDTHS, Block, Stem
from netchu.model.recogniser import build_model
from netchu.model.slimming import SLIMMER, slim
from tests.support.bundles import untrained

CHARSET = Charset("abc ")
PP = Config(
    backbone="pplcnet_v4", pretrained=False, height=32, width_stride=8, pool="mean", neck="lightsvtr", hidden=120
)


@pytest.fixture(params=["pplcnet_v4", "pplcnet_v4_slim"])
def spare(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    """A network in which only as many channels matter as the next slimmer one has, anywhere among the others."""
    torch.manual_seed(0)
    cfg = replace(PP, backbone=request.param)
    model, path = build_model(cfg, len(CHARSET)), tmp_path / "whole.safetensors"
    widths = WIDTHS[SLIMMER[cfg.backbone]]
    wide, narrow = widths.stem
    for module in model.modules():
        if isinstance(module, Block):
            _spare(module.compress, widths.hidden[module.expand.in_channels, module.compress.out_channels])
        elif isinstance(module, Stem):
            for layer, needed, parts in ((module.leave, wide, 1), (module.merge, wide, 2), (module.widen, narrow, 1)):
                _spare(layer, needed, parts)
    save_bundle(path, model, cfg, CHARSET, metrics={}, hashes={})
    return load_bundle(path)


def _spare(layer: torch.nn.Conv2d, needed: int, parts: int = 1) -> None:
    for part in layer.weight.data.chunk(parts, dim=1):
        part[:, torch.randperm(part.shape[1])[needed:]] = 0


def test_channels_that_do_nothing_go_first(spare: Bundle) -> None:
    images = [torch.rand(1, 1, 32, width) for width in (96, 160, 160, 224)]
    cfg, quick = slim(spare, images)
    assert cfg.backbone == SLIMMER[spare.cfg.backbone]
    share = {"pplcnet_v4": 0.65, "pplcnet_v4_slim": 0.85}[spare.cfg.backbone]
    assert sum(p.numel() for p in quick.parameters()) < share * sum(p.numel() for p in spare.model.parameters())
    with torch.inference_mode():
        for image in (*images, torch.rand(1, 1, 32, 128)):
            whole, left = spare.model(image), quick(image)
            assert (whole - left).abs().max() < 0.02 * (whole - whole.mean()).abs().max()


def test_only_that_network_can_be_made_slim(tiny: Config, tmp_path: Path) -> None:
    bundle = load_bundle(untrained(tmp_path / "b.safetensors", tiny, CHARSET))
    says = r"b.safetensors: its backbone is cnn3; only pplcnet_v4 or pplcnet_v4_slim can be made slimmer"
    with pytest.raises(NetchuError, match=says):
        slim(bundle, [])


def test_the_verb_writes_a_bundle_to_train_on(
    spare: Bundle, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "quick.safetensors"
    monkeypatch.setattr("sys.argv", ["netchu", "slim", str(spare.path), "--manifest", str(manifest), "--out", str(out)])
    main()
    assert "million weights; train on from it" in capsys.readouterr().out
    quick = load_bundle(out)
    assert quick.cfg == replace(spare.cfg, backbone=SLIMMER[spare.cfg.backbone], name="quick")

"""Backbones, necks and the recogniser: shapes, strides, weights that still load, independence of neighbours."""

import warnings
from dataclasses import replace

import pytest
import timm
import torch

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.preprocess import preprocess
from netchu.model.backbones import BACKBONES, TimmBackbone, build_backbone
from netchu.model.losses import CtcObjective
from netchu.model.necks import NECKS
from netchu.model.pplcnet import Block
from netchu.model.predict import predict
from netchu.model.recogniser import build_model
from tests.support.tiny import TINY

B0 = Config(backbone="tf_efficientnetv2_b0", pretrained=False, hidden=32, neck_layers=1)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("width_stride", [4, 8])
def test_every_registered_backbone(name: str, width_stride: int) -> None:
    backbone = build_backbone(replace(TINY, backbone=name, width_stride=width_stride)).eval()
    output = backbone(torch.zeros(2, 1, 32, 96))
    assert output.shape[:2] == (2, backbone.channels)
    assert output.shape[3] == 96 // width_stride


@pytest.mark.parametrize(
    "name", ["tf_efficientnetv2_b0", "resnet10t", "resnetblur18", "convnext_atto", "mobilenetv3_small_050"]
)
@pytest.mark.parametrize("width_stride", [4, 8, 16])
def test_any_timm_name_at_any_width_stride(name: str, width_stride: int) -> None:
    backbone = build_backbone(replace(B0, backbone=name, width_stride=width_stride)).eval()
    output = backbone(torch.zeros(1, 1, 48, 160))
    assert output.shape[1] == backbone.channels
    assert output.shape[3] == 160 // width_stride


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_the_mean_of_columns_and_rows_is_taken_before_the_last_convolution(pool: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(Config(backbone="pplcnet_v4", pretrained=False, width_stride=8, pool=pool)).eval()
    last = next(module for module in reversed(list(backbone.modules())) if isinstance(module, Block))
    seen: list[torch.Size] = []
    last.compress.register_forward_hook(lambda _, inputs, output: seen.append(output.shape))
    images = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        pooled = backbone(images)
        last.pool = torch.nn.Identity()
        whole = backbone(images)
    rows = 1 if pool == "mean" else 4
    assert seen == [(2, 384, rows, 12), (2, 384, 4, 24)]
    means = whole.unflatten(3, (12, 2)).mean(4)
    assert torch.allclose(pooled, means if pool == "max" else means.mean(2, keepdim=True), atol=1e-5)


def test_changed_strides_leave_pretrained_weights_loadable() -> None:
    ours = TimmBackbone(replace(B0, stages=5, width_stride=4))
    theirs = timm.create_model("tf_efficientnetv2_b0", in_chans=1)
    own, full = ours.network.state_dict(), theirs.state_dict()
    assert all(full[name].shape == tensor.shape for name, tensor in own.items())


def test_stages_that_are_not_used_are_not_stored() -> None:
    four, five = (build_backbone(replace(B0, stages=stages)) for stages in (4, 5))
    sizes = [sum(p.numel() for p in b.parameters()) for b in (four, five)]
    assert sizes[0] < 0.35 * sizes[1]
    images = torch.randn(1, 1, 48, 96)
    for parameter in four.parameters():
        assert parameter.requires_grad
    four.eval()(images).sum().backward()
    assert all(p.grad is not None for p in four.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "tf_efficientnetv9"}, "timm has no such network"),
        ({"backbone": "vit_tiny_patch16_224", "stages": 5}, "backbone=vit_tiny_patch16_224"),
        ({"backbone": "cnn3", "width_stride": 16}, "use --set width_stride=8"),
        ({"backbone": "tf_efficientnetv2_b0", "stages": 4, "width_stride": 32}, "use --set width_stride=16"),
        ({"neck": "mixing", "hidden": 50}, "wants a multiple of 4"),
        ({"neck": "gru"}, "neck=gru: no such neck; there are: none, bigru"),
    ],
)
def test_unbuildable_model_is_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(NetchuError) as error:
        build_model(replace(B0, **changes), 10)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unreachable_hub_names_the_remedy() -> None:
    with warnings.catch_warnings(), pytest.raises(NetchuError, match="--set pretrained=false"):
        warnings.simplefilter("ignore")
        build_backbone(replace(B0, backbone="tf_efficientnetv2_b0", pretrained=True))


@pytest.mark.parametrize("neck", NECKS)
def test_every_neck_trains_and_reads(neck: str) -> None:
    model = build_model(replace(TINY, neck=neck), 20)
    objective = CtcObjective(model, shortcut_weight=0.1)
    loss = objective(torch.rand(2, 1, 32, 64), torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2]))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in objective.parameters())
    assert model.eval()(torch.rand(3, 1, 32, 96)).shape == (3, 24, 20)
    assert not any(name.startswith("shortcut") for name in model.state_dict())


@pytest.mark.parametrize("neck", NECKS)
def test_a_line_does_not_depend_on_its_batch_neighbours(neck: str) -> None:
    torch.manual_seed(0)
    model = build_model(replace(B0, neck=neck, height=32), 30).eval()
    rng = torch.Generator().manual_seed(1)
    images = [(255 * torch.rand(32, width, generator=rng)).byte().numpy() for width in (40, 300, 55, 170, 41, 290, 600)]
    geometry_cfg = replace(B0, height=32)
    from netchu.core.preprocess import Geometry

    inputs = [preprocess(image, Geometry.of(geometry_cfg)) for image in images]
    together = predict(model, inputs, precision="fp32")
    for i, image in enumerate(inputs):
        alone = predict(model, [image], precision="fp32")[0].log_probs
        assert alone.shape == together[i].log_probs.shape
        assert abs(alone - together[i].log_probs).max() < 1e-4

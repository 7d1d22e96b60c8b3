"""Backbones: images (N, 1, H, W) -> feature maps (N, channels, h, W / width_stride).

Any timm network that offers `features_only` works: its later horizontal strides are set to 1 so that a time step
covers `width_stride` pixels, which leaves every weight's shape, and so the ImageNet weights, as they were.
"""

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.pplcnet import WIDTHS, PPLCNetV4

WIDTH = 256  # pixels of the image of the dry runs


class TimmBackbone(nn.Module):
    """The first `cfg.stages` feature levels of a timm network."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        options: dict[str, Any] = {"in_chans": 1, "features_only": True, "out_indices": (cfg.stages - 1,)}
        try:
            self.network = timm.create_model(cfg.backbone, pretrained=cfg.pretrained, **options)
            self.network.eval()  # dry runs leave the batch statistics alone
            drop_unused(self.network)
            limit_width_stride(self.network, cfg.width_stride)
            reached = WIDTH // features_width(self.network)
            self.network.train()
        except NetchuError:
            raise
        except Exception as error:
            raise NetchuError(_explain(cfg, error)) from error
        if cfg.grad_checkpointing:
            switch: Any = getattr(self.network, "set_grad_checkpointing", None)
            if switch is None:
                raise NetchuError(f"backbone={cfg.backbone}: timm cannot checkpoint it; leave grad_checkpointing out")
            switch(True)
        self.channels = int(self.network.feature_info.channels()[-1])  # type: ignore
        if reached != cfg.width_stride:
            raise NetchuError(
                f"width_stride={cfg.width_stride}: {cfg.stages} stages of {cfg.backbone} reach only {reached}; "
                f"use --set width_stride={reached}"
            )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, channels, h, W / width_stride)."""
        features: Tensor = self.network(images)[-1]
        return features


def _explain(cfg: Config, error: Exception) -> str:
    """One line for a network that could not be built."""
    name, stages = cfg.backbone, cfg.stages
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    if not timm.is_model(name.split(".")[0]):
        near = timm.list_models(f"*{name[:12]}*")[:3] or timm.list_models("tf_efficientnetv2*")[:3]
        return f"backbone={name}: timm has no such network; for example {', '.join(near)}"
    if isinstance(error, IndexError | AssertionError | RuntimeError) and not _is_download(error):
        return f"backbone={name}: does not give {stages} feature levels for lines of any width ({cause}); try another"
    if cfg.pretrained:
        return (
            f"backbone={name}: its ImageNet weights could not be fetched ({cause}); connect to the hub once, "
            "or start without them by --set pretrained=false"
        )
    return f"backbone={name}: timm could not build it ({cause})"


def _is_download(error: Exception) -> bool:
    """Whether the error came from the hub's client and not from building the network."""
    return any(word in type(error).__module__ for word in ("huggingface", "httpx", "requests", "urllib"))


def drop_unused(network: nn.Module) -> None:
    """Replace blocks behind the last kept feature level by identities: timm computes and stores them all the same.

    A parameter is unused when the output's gradient does not reach it.
    """
    network(torch.zeros(1, 1, 64, 64))[-1].sum().backward()
    unused = {p for p in network.parameters() if p.grad is None}
    network.zero_grad(set_to_none=True)

    def prune(module: nn.Module) -> None:
        for name, child in module.named_children():
            parameters = list(child.parameters())
            if parameters and all(p in unused for p in parameters):
                setattr(module, name, nn.Identity())
            else:
                prune(child)

    prune(network)


def features_width(network: nn.Module) -> int:
    """Width of the last feature map of an image WIDTH pixels wide."""
    with torch.no_grad():
        return int(network(torch.zeros(1, 1, 64, WIDTH))[-1].shape[-1])


def limit_width_stride(network: nn.Module, width_stride: int) -> None:
    """Set to 1 the horizontal stride of every layer that would take the width below 1 / `width_stride` of the input.

    A dry run records the width at which each strided layer works; strides of one branch and of its shortcut
    fall together because they see the same width.
    """
    seen: dict[nn.Module, int] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.setdefault(module, WIDTH // inputs[0].shape[-1])

    strided = [
        m
        for m in network.modules()
        if not list(m.children()) and _pair(getattr(m, "stride", 1))[1] > 1  # convolutions, pools, blurs
    ]
    hooks = [m.register_forward_pre_hook(record) for m in strided]
    features_width(network)
    for hook in hooks:
        hook.remove()
    for module in strided:
        reduction, (down, across) = seen.get(module, 1), _pair(module.stride)
        if reduction * across <= width_stride:
            continue
        if reduction < width_stride:
            raise NetchuError(
                f"width_stride={width_stride}: this backbone steps from {reduction} to {reduction * across}; "
                f"use --set width_stride={reduction * across}"
            )
        module.stride = (down, 1)  # type: ignore[assignment]
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            module.kernel_size = (_pair(module.kernel_size)[0], 1)
            module.padding = (_pair(module.padding)[0], 0)
        elif isinstance(module, nn.Conv2d) and _pair(module.kernel_size)[1] % 2 == 0:
            module.register_forward_pre_hook(_pad_right)


def _pad_right(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Keep the width under an even kernel at stride 1."""
    assert isinstance(module, nn.Conv2d)
    return nn.functional.pad(inputs[0], (0, module.kernel_size[1] - 1))


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _block(inputs: int, outputs: int, stride: tuple[int, int]) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU, then max pooling by `stride`."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(stride) if stride != (1, 1) else nn.Identity(),
    )


class ConvStack(nn.Module):
    """Plain convolution blocks: `layers` lists (channels, pooled) in order; a pooled block halves the height."""

    def __init__(self, layers: list[tuple[int, bool]], width_stride: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        inputs, reduction = 1, 1
        for channels, pooled in layers:
            across = 2 if pooled and reduction < width_stride else 1
            reduction *= across
            blocks.append(_block(inputs, channels, (2 if pooled else 1, across)))
            inputs = channels
        if reduction != width_stride:
            raise NetchuError(
                f"width_stride={width_stride}: this backbone reaches only {reduction}; "
                f"use --set width_stride={reduction}"
            )
        self.blocks = nn.Sequential(*blocks)
        self.channels = inputs

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, channels, h, W / width_stride)."""
        features: Tensor = self.blocks(images)
        return features


def build_backbone(cfg: Config) -> nn.Module:
    """The backbone that `cfg.backbone` names: a key of BACKBONES, else a timm name."""
    return BACKBONES.get(cfg.backbone, TimmBackbone)(cfg)


# The convolutions of CRNN (Shi, Bai, Yao 2015, arXiv:1507.05717), batch norm after each.
VGG_CRNN = [(64, True), (128, True), (256, False), (256, True), (512, False), (512, True)]
# Four blocks, for quick trials and as the smallest baseline; `low` pools before its last block, which is a third
# faster, for low lines that a neck reads.
CNN3 = [(32, True), (64, True), (128, False), (128, True)]
CNN3_LOW = [(32, True), (64, True), (128, True), (128, False)]

BACKBONES: dict[str, Callable[[Config], nn.Module]] = {
    "vgg_crnn": lambda cfg: ConvStack(VGG_CRNN, cfg.width_stride),
    "cnn3": lambda cfg: ConvStack(CNN3, cfg.width_stride),
    "cnn3_low": lambda cfg: ConvStack(CNN3_LOW, cfg.width_stride),
    # Of PP-OCRv6, for `netchu import-weights`, and with fewer channels, for `netchu slim`.
    **dict.fromkeys(
        WIDTHS, lambda cfg: PPLCNetV4(cfg.width_stride, widths=WIDTHS[cfg.backbone], mean_rows=cfg.pool == "mean")
    ),
}

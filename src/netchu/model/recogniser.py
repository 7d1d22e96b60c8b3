"""The recogniser: backbone -> columns -> neck -> CTC head. `forward(images) -> logits` and nothing else.

Images are (N, 1, H, W) with W a multiple of 32; logits are (N, T, classes) with T = W / width_stride, class 0 blank.
"""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.backbones import build_backbone
from netchu.model.necks import NECKS

Builder = TypeVar("Builder")


class MixedRows(nn.Module):
    """Feature map to a sequence: a 3 x 1 convolution across rows, ReLU, then the strongest row of each column."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.channels = outputs
        self.mix = nn.Conv2d(inputs, outputs, (3, 1), padding=(1, 0))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, T) -> (N, T, outputs)."""
        rows: Tensor = self.mix(features).relu()
        return rows.amax(dim=2).transpose(1, 2)


class MeanRows(nn.Module):
    """Feature map to a sequence: the mean of a column's rows, without weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.channels = inputs

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, T) -> (N, T, C)."""
        return features.mean(dim=2).transpose(1, 2)


POOLS: dict[str, Callable[[int, int], nn.Module]] = {"max": MixedRows, "mean": MeanRows}


class Recogniser(nn.Module):
    """Reads line images; `columns` and `read` are its two halves, for losses that look between them."""

    def __init__(self, cfg: Config, classes: int) -> None:
        super().__init__()
        self.backbone = build_backbone(cfg)
        pool, neck = _named("pool", POOLS, cfg), _named("neck", NECKS, cfg)
        self.pool = pool(int(self.backbone.channels), cfg.hidden)  # type: ignore[arg-type]
        self.neck = neck(int(self.pool.channels), cfg)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(cfg.dropout)
        self.head = nn.Linear(int(self.neck.channels), classes)  # type: ignore[arg-type]

    def columns(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> column features (N, T, C)."""
        features: Tensor = self.pool(self.backbone(images))
        return features

    def read(self, columns: Tensor) -> Tensor:
        """Column features (N, T, C) -> logits (N, T, classes)."""
        logits: Tensor = self.head(self.dropout(self.neck(columns)))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> logits (N, T, classes)."""
        return self.read(self.columns(images))


def _named(field: str, registry: dict[str, Builder], cfg: Config) -> Builder:
    """What a field of the config names in its registry; raises NetchuError when there is none of that name."""
    name = getattr(cfg, field)
    if name not in registry:
        raise NetchuError(f"{field}={name}: no such {field}; there are: {', '.join(registry)}")
    return registry[name]


def build_model(cfg: Config, classes: int) -> Recogniser:
    """A recogniser with `classes` outputs, the blank included."""
    return Recogniser(cfg, classes)

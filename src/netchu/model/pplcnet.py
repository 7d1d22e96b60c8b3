"""PP-LCNetV4, the backbone of PP-OCRv6's recognition network (arXiv:2606.13108), with batch norms fused away.

Those weights want paper at +1 and ink at -1, which is a constant of the model. A time step is the mean of its columns:
two in PP-OCRv6, which reads at width_stride 8. The mean is taken before the last 1 x 1 convolution, which is linear:
the same result, and a twentieth less to compute.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

STAGES = (  # channels in, channels out and, block by block, whether it has squeeze-excitation
    (96, 96, (True, False, False)),
    (96, 192, (False, True, False, True, False, True, False)),
    (192, 384, (False, True, False)),
)
STEM_STRIDE = 4  # pixels a feature column


@dataclass(frozen=True)
class Widths:
    """Channels of the stem and of its narrow branch, hidden ones of a block by its channels in and out."""

    stem: tuple[int, int]
    hidden: dict[tuple[int, int], int]


WIDTHS = {  # by backbone
    "pplcnet_v4": Widths((48, 24), {(96, 96): 192, (96, 192): 192, (192, 192): 384, (192, 384): 384, (384, 384): 768}),
    "pplcnet_v4_slim": Widths(
        (48, 24), {(96, 96): 128, (96, 192): 128, (192, 192): 192, (192, 384): 192, (384, 384): 384}
    ),
    "pplcnet_v4_slimmer": Widths(
        (32, 16), {(96, 96): 128, (96, 192): 128, (192, 192): 144, (192, 384): 160, (384, 384): 288}
    ),
}


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution. Training on a processor computes it as matrix products, which is up to a tenth faster
    there than oneDNN's backward pass; everything else sees an ordinary convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h, w)."""
        if not self.training or features.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super().forward(features)
        rows = features.permute(0, 2, 3, 1)
        mixed: Tensor = _MatrixProduct.apply(rows.reshape(-1, self.in_channels), self.weight.flatten(1), self.bias)
        return mixed.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


class _MatrixProduct(torch.autograd.Function):
    """rows (R, C) x weight (C', C) + bias (C') -> (R, C'), with a weight gradient in the order that is fastest."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return torch.addmm(bias, rows, weight.t())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        (gradient,) = gradients
        return gradient @ weight, (rows.t() @ gradient).t(), gradient.sum(0)


class SqueezeExcitation(nn.Module):
    """Channel weights from the mean of the whole map (Hu et al., arXiv:1709.01507), with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = Pointwise(channels, channels // 4)
        self.excite = Pointwise(channels // 4, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        mean = features.mean((2, 3), keepdim=True)
        return features * functional.hardsigmoid(self.excite(self.squeeze(mean).relu()))


class Block(nn.Module):
    """Depthwise 3 x 3, perhaps squeeze-excitation, then 1 x 1 to `hidden` channels and back, with a residual."""

    def __init__(self, inputs: int, outputs: int, *, hidden: int, excited: bool) -> None:
        super().__init__()
        halves = inputs != outputs  # where channels double, the height is halved
        self.spread = nn.Conv2d(inputs, inputs, 3, stride=(2, 1) if halves else 1, padding=1, groups=inputs)
        self.excitation = SqueezeExcitation(inputs) if excited else nn.Identity()
        self.expand = Pointwise(inputs, hidden)
        self.compress = Pointwise(hidden, outputs)
        self.residual = not halves
        self.pool: nn.Module = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h', w), then pooled."""
        spread = self.excitation(self.spread(features))
        mixed: Tensor = self.compress(self.hidden(spread))
        return self.pool(spread) + mixed if self.residual else mixed

    def hidden(self, spread: Tensor) -> Tensor:
        """What `compress` sees, from what `expand` sees: (N, C, h, w) -> (N, hidden, h', w')."""
        seen: Tensor = self.pool(functional.gelu(self.expand(spread)))
        return seen


class Stem(nn.Module):
    """(N, 1, H, W) -> (N, 96, H / 4, W / 4): a max pool and two 2 x 2 convolutions side by side at half size."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, wide, 3, stride=2, padding=1)
        self.narrow = nn.Conv2d(wide, narrow, 2)
        self.widen = nn.Conv2d(narrow, wide, 2)
        self.merge = nn.Conv2d(2 * wide, wide, 3, stride=2, padding=1)
        self.leave = Pointwise(wide, STAGES[0][0])

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 96, H / 4, W / 4)."""
        left: Tensor = self.leave(self.merged(images)).relu()
        return left

    def joined(self, images: Tensor) -> Tensor:
        """What `merge` sees: (N, 1, H, W) -> (N, 2 wide, H / 2, W / 2)."""
        entered = grown(self.enter(images).relu())
        branch = self.widen(grown(self.narrow(entered).relu())).relu()
        return torch.cat([functional.max_pool2d(entered, 2, stride=1), branch], 1)

    def merged(self, images: Tensor) -> Tensor:
        """What `leave` sees: (N, 1, H, W) -> (N, wide, H / 4, W / 4)."""
        merged: Tensor = self.merge(self.joined(images)).relu()
        return merged


def grown(features: Tensor) -> Tensor:
    """One more row below and one more column at the right, of zeros: a 2 x 2 window then keeps the size."""
    return functional.pad(features, (0, 1, 0, 1))


class Mean(nn.Module):
    """The mean of every `columns` columns and, with `rows`, of all rows."""

    def __init__(self, columns: int, *, rows: bool) -> None:
        super().__init__()
        self.columns, self.rows = columns, rows

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h or 1, w / columns)."""
        return functional.avg_pool2d(features, (features.shape[2] if self.rows else 1, self.columns))


class PPLCNetV4(nn.Module):
    """Line images to feature maps at stride (16, width_stride), or with `mean_rows` to one row, the mean of all."""

    def __init__(self, width_stride: int, *, widths: Widths, mean_rows: bool = False) -> None:
        super().__init__()
        self.stem = Stem(*widths.stem)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    *(
                        Block(first, outputs, hidden=widths.hidden[first, outputs], excited=e)
                        for first, e in zip((inputs, *[outputs] * len(excited)), excited, strict=False)
                    )
                )
                for inputs, outputs, excited in STAGES
            )
        )
        self.stages[-1][-1].pool = Mean(width_stride // STEM_STRIDE, rows=mean_rows)  # type: ignore[index,union-attr]
        self.channels = STAGES[-1][1]

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W), ink 1 and paper 0 -> (N, 384, H / 16 or 1, W / width_stride)."""
        features: Tensor = self.stages(self.stem(1 - 2 * images))
        return features

"""A quicker network from a trained one: channels are left out, the others take over their part.

Channels go by what they are worth in a linear least-squares problem, a convolution's output from its inputs on real
lines (He et al. 2017, "Channel pruning", arXiv:1707.06168); a channel's worth is the error that its removal adds once
the others are fitted anew (Hassibi and Stork 1993, "Optimal brain surgeon").
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.bundle import Bundle
from netchu.model.pplcnet import WIDTHS, Block, Stem, grown
from netchu.model.recogniser import Recogniser, build_model

M = TypeVar("M", bound=nn.Module)
SLIMMER = dict(pairwise(WIDTHS))  # backbone -> the next one with fewer channels
AT_ONCE = 8  # channels that go before worths are computed anew
RIDGE = 1e-4  # of the mean square of an input


@torch.inference_mode()
def slim(bundle: Bundle, images: Sequence[Tensor]) -> tuple[Config, Recogniser]:
    """The bundle's network with fewer channels, fitted step by step on `images` (1, 1, H, W), each of its own width.

    Raises NetchuError for a network of another kind.
    """
    if bundle.cfg.backbone not in SLIMMER:
        raise NetchuError(
            f"{bundle.path}: its backbone is {bundle.cfg.backbone}; only {' or '.join(SLIMMER)} can be made slimmer"
        )
    cfg = replace(bundle.cfg, backbone=SLIMMER[bundle.cfg.backbone])
    old, new = bundle.model, build_model(cfg, len(bundle.charset)).eval()
    alike, target = old.state_dict(), new.state_dict()
    new.load_state_dict({name: alike[name] if alike[name].shape == t.shape else t for name, t in target.items()})
    stem, slim_stem = (_all(model, Stem)[0] for model in (old, new))
    inputs = [1 - 2 * image for image in images]
    if stem.merge.weight.shape != slim_stem.merge.weight.shape:
        _fit_stem(stem, slim_stem, inputs)
    given, wanted = [slim_stem(x) for x in inputs], [stem(x) for x in inputs]
    blocks = list(zip(_all(old, Block), _all(new, Block), strict=True))
    for whole, block in tqdm(blocks, "fitting blocks", unit="block"):
        pairs = ((_hidden(whole, x), whole.compress(_hidden(whole, y))) for x, y in zip(given, wanted, strict=True))
        _keep(whole.expand, block.expand, _fit(block.compress, pairs))
        given, wanted = [block(x) for x in given], [whole(y) for y in wanted]
    return cfg, new


def _all(model: nn.Module, kind: type[M]) -> list[M]:
    return [module for module in model.modules() if isinstance(module, kind)]


def _hidden(block: Block, features: Tensor) -> Tensor:
    """What the block's last convolution sees (1, hidden, h, w)."""
    return block.hidden(block.excitation(block.spread(features)))


def _fit_stem(old: Stem, new: Stem, inputs: Sequence[Tensor]) -> None:
    """Channels are chosen from behind, on what the old stem computes; the last convolution then makes up for all."""
    entered = [grown(old.enter(x).relu()) for x in inputs]
    narrowed = [grown(old.narrow(x).relu()) for x in entered]
    joined = [old.joined(x) for x in inputs]
    merged = [old.merge(x) for x in joined]
    left = [old.leave(x.relu()) for x in merged]
    kept = _fit(new.leave, zip((x.relu() for x in merged), left, strict=True))
    both = _fit(new.merge, zip(joined, (x[:, kept] for x in merged), strict=True), parts=2)
    pooled = both[: len(both) // 2]
    branch = [channel - old.enter.out_channels for channel in both[len(both) // 2 :]]
    thin = _fit(new.widen, ((x, old.widen(x)[:, branch]) for x in narrowed))
    _fit(new.narrow, ((x[:, pooled], old.narrow(x)[:, thin]) for x in entered))
    _keep(old.enter, new.enter, pooled)
    _fit(new.leave, zip((new.merged(x) for x in inputs), left, strict=True))


def _keep(old: nn.Conv2d, new: nn.Conv2d, channels: list[int]) -> None:
    """The new convolution gets these output channels of the old one."""
    assert old.bias is not None and new.bias is not None
    new.weight.copy_(old.weight[channels])
    new.bias.copy_(old.bias[channels])


def _fit(layer: nn.Conv2d, pairs: Iterable[tuple[Tensor, Tensor]], parts: int = 1) -> list[int]:
    """Choose which channels of the inputs (1, C, h, w) the layer keeps, as many of each of `parts` equal parts, and fit
    it to the outputs (1, C', h', w'). Returns the channels, in order."""
    sums: Tensor | None = None
    for given, wanted in pairs:
        patches = functional.unfold(given, layer.kernel_size, padding=layer.padding, stride=layer.stride)  # type: ignore[arg-type]
        rows = patches[0].t().double()
        rows = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], 1)  # a column of ones for the bias
        product = rows.t() @ torch.cat([rows, wanted[0].flatten(1).t().double()], 1)
        sums = product if sums is None else sums + product
        channels = given.shape[1]
    assert sums is not None and layer.bias is not None
    bias, taps = len(sums) - 1, layer.weight[0, 0].numel()
    sums /= sums[bias, bias].clone()
    sums.diagonal()[:bias] += RIDGE * sums.diagonal()[:bias].mean()
    products, targets = sums[:, : bias + 1], sums[:, bias + 1 :]
    kept = torch.arange(channels)
    while True:
        left = torch.cat([(kept[:, None] * taps + torch.arange(taps)).flatten(), torch.tensor([bias])])
        inverse = torch.linalg.inv(products[left][:, left])
        weights = inverse @ targets[left]
        if len(kept) == layer.in_channels:
            break
        by_channel = weights[:-1].unflatten(0, (-1, taps))
        own = inverse[:-1, :-1].unflatten(1, (-1, taps)).unflatten(0, (-1, taps)).diagonal(dim1=0, dim2=2)
        worth = (by_channel * torch.linalg.solve(own.permute(2, 0, 1), by_channel)).sum((1, 2))
        gone = torch.zeros(len(kept), dtype=torch.bool)
        for part in range(parts):
            inside = (kept * parts // channels == part).nonzero().flatten()
            surplus = len(inside) - layer.in_channels // parts
            gone[inside[worth[inside].argsort()[: min(surplus, AT_ONCE)]]] = True
        kept = kept[~gone]
    layer.weight.copy_(weights[:-1].t().unflatten(1, (-1, *layer.kernel_size)))
    layer.bias.copy_(weights[-1])
    return kept.tolist()

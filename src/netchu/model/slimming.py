"""A quicker network from a trained one: hidden channels of its blocks are left out, the others take over their part.

Channels go by what they are worth in a linear least-squares problem, the block's output from its hidden channels on
real lines (He et al. 2017, "Channel pruning", arXiv:1707.06168); a channel's worth is the error that its removal adds
once the others are fitted anew (Hassibi and Stork 1993, "Optimal brain surgeon").
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.model.bundle import Bundle
from netchu.model.pplcnet import Block
from netchu.model.recogniser import Recogniser, build_model

WHOLE, SLIM = "pplcnet_v4", "pplcnet_v4_slim"
AT_ONCE = 8  # channels that go before worths are computed anew
RIDGE = 1e-4  # of the mean square of a hidden channel


@torch.inference_mode()
def slim(bundle: Bundle, images: Sequence[Tensor]) -> Recogniser:
    """The bundle's network with slim blocks, fitted block by block on `images` (1, 1, H, W), each of its own width.

    Raises NetchuError for a network of another kind.
    """
    if bundle.cfg.backbone != WHOLE:
        raise NetchuError(f"{bundle.path}: its backbone is {bundle.cfg.backbone}; only {WHOLE} can be made slim")
    old, new = bundle.model, build_model(replace(bundle.cfg, backbone=SLIM), len(bundle.charset)).eval()
    alike, target = old.state_dict(), new.state_dict()
    new.load_state_dict({name: alike[name] if alike[name].shape == t.shape else t for name, t in target.items()})
    wanted = [old.backbone.stem(1 - 2 * image) for image in images]  # type: ignore[operator,union-attr]
    given = list(wanted)
    pairs = list(zip(_blocks(old), _blocks(new), strict=True))
    for whole, block in tqdm(pairs, "fitting blocks", unit="block"):
        size = whole.expand.out_channels + 1
        sums = torch.zeros(size, size + whole.compress.out_channels, dtype=torch.float64)
        for x, y in zip(given, wanted, strict=True):
            sums += _products(whole, x, y)
        _take_over(whole, block, *(sums / sums[-1, size - 1]).split((size, sums.shape[1] - size), dim=1))
        given, wanted = [block(x) for x in given], [whole(y) for y in wanted]
    return new


def _blocks(model: nn.Module) -> list[Block]:
    return [module for module in model.modules() if isinstance(module, Block)]


def _hidden(block: Block, features: Tensor) -> Tensor:
    """What the block's last convolution sees, a row a place, and a column of ones for its bias: (R, hidden + 1)."""
    hidden: Tensor = block.pool(functional.gelu(block.expand(block.excitation(block.spread(features)))))
    rows = hidden.permute(0, 2, 3, 1).flatten(0, 2).double()
    return torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], 1)


def _products(whole: Block, given: Tensor, wanted: Tensor) -> Tensor:
    """Hidden channels times (hidden channels, outputs), summed over the places of one line (h + 1, h + 1 + C).

    `given` comes from the slim blocks before, `wanted` from the whole ones, whose output is to be met.
    """
    hidden, last = _hidden(whole, given), whole.compress
    assert last.bias is not None
    output = _hidden(whole, wanted) @ torch.cat([last.weight.flatten(1).t(), last.bias[None]]).double()
    return hidden.t() @ torch.cat([hidden, output], 1)


def _take_over(whole: Block, block: Block, products: Tensor, targets: Tensor) -> None:
    """Choose the channels that stay and fit the last convolution; products (h + 1, h + 1), targets (h + 1, C)."""
    bias = len(products) - 1
    products.diagonal()[:bias] += RIDGE * products.diagonal()[:bias].mean()
    kept = list(range(bias))
    while True:
        rows = [*kept, bias]
        inverse = torch.linalg.inv(products[rows][:, rows])
        weights = inverse @ targets[rows]
        surplus = len(kept) - block.expand.out_channels
        if not surplus:
            break
        worth = weights[:-1].square().sum(1) / inverse.diagonal()[:-1]
        gone = set(worth.argsort()[: min(surplus, AT_ONCE)].tolist())
        kept = [channel for i, channel in enumerate(kept) if i not in gone]
    assert whole.expand.bias is not None and block.expand.bias is not None and block.compress.bias is not None
    block.expand.weight.copy_(whole.expand.weight[kept])
    block.expand.bias.copy_(whole.expand.bias[kept])
    block.compress.weight.copy_(weights[:-1].t()[:, :, None, None])
    block.compress.bias.copy_(weights[-1])

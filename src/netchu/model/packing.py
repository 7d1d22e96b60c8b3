"""Bundles made of other bundles: an int8 copy of half the size, and the average of several fine-tunes (a soup).

Source of the average: Wortsman et al. 2022, "Model soups" (arXiv:2203.05482). It needs fine-tunes of one pretrained
bundle; whether it reads better than its parts is for `netchu oof` to say.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from netchu.core.charset import BLANK
from netchu.core.config import ALL_DATA_FOLD, GEOMETRY, differing
from netchu.core.errors import NetchuError
from netchu.core.files import hash_file
from netchu.model.bundle import half, read_bundle, write_bundle
from netchu.model.bundle_file import SCALE, SMALLEST, quantise_array


def quantise(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with large ones of two or more dimensions as int8 and float32 scales, one a row, beside them.

    They are floats again when they are loaded, so computing stays as it was.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.dim() < 2 or tensor.numel() < SMALLEST:
            stored[name] = tensor
            continue
        whole, scale = quantise_array(tensor.float().numpy(), (0,))
        stored[name], stored[name + SCALE] = torch.from_numpy(whole), torch.from_numpy(scale.ravel())
    return stored


def pack_int8(bundle: Path, out: Path) -> None:
    """Write a bundle's int8 copy."""
    tensors, about = read_bundle(bundle)
    write_bundle(out, quantise(tensors), {**about, "hashes": {**about["hashes"], "packed_from": hash_file(bundle)}})


def average_bundles(
    bundles: Sequence[Path], out: Path, weights: Sequence[float] | None = None, *, any_start: bool = False
) -> None:
    """Write the weighted mean of bundles' weights as one fp16 bundle, with the config and the charset of the first.

    Of a bundle that knows more characters, such as a pretraining on helping lines, the others' rows are left out.
    It is named after its file, or after its folder when the file is a run's `best` or `last`.
    `any_start`: they need not have started from the same bundle, because they share one further back.
    Raises NetchuError for fewer than two bundles, weights that do not pair, or bundles that differ in geometry, charset
    or, without `any_start`, in what they started from.
    """
    if len(bundles) < 2:
        raise NetchuError("a soup needs two bundles or more; name them with --bundles")
    shares = list(weights) if weights is not None else [1.0] * len(bundles)
    if len(shares) != len(bundles) or not 0 < sum(shares) < math.inf or min(shares) < 0:
        raise NetchuError(f"{len(bundles)} bundles need as many weights, 0 or more, not {shares}")
    first, about = read_bundle(bundles[0])
    total = {name: torch.zeros_like(tensor, dtype=torch.float32) for name, tensor in first.items()}
    folds: set[int] = set()
    for path, share in zip(bundles, shares, strict=True):
        tensors, theirs = read_bundle(path)
        folds.add(theirs["config"]["fold"])
        for key in differing(theirs["config"], about["config"], GEOMETRY | (set() if any_start else {"load_weight"})):
            raise NetchuError(
                f"{path}: {key} is {theirs['config'].get(key)!r}, in {bundles[0]} {about['config'].get(key)!r}; "
                "average fine-tunes of one pretrained bundle, or such as share one further back (--any-start)"
            )
        if missing := sorted(set(about["charset"]) - set(theirs["charset"])):
            raise NetchuError(f"{path}: its charset lacks {missing[0]!r} of {bundles[0]}; train them on one manifest")
        rows = [BLANK, *(theirs["charset"].index(character) + 1 for character in about["charset"])]
        for name, tensor in tensors.items():
            kept = tensor[rows] if name.startswith("head.") else tensor
            total[name] += kept.float() * (share / sum(shares))
    stored = {}
    for name, tensor in total.items():
        whole = not first[name].is_floating_point()
        stored[name] = tensor.round().to(first[name].dtype) if whole else half(tensor)
    sources = {f"averaged_{i}": hash_file(path) for i, path in enumerate(bundles, 1)}
    name = out.resolve().parent.name if out.stem in ("best", "last") else out.stem
    config = {**about["config"], "name": name}
    if len(folds) > 1:  # between them they have seen every line
        config["fold"] = ALL_DATA_FOLD
    hashes = {key: value for key, value in about["hashes"].items() if not key.startswith("averaged_")}
    about = {**about, "config": config, "metrics": {}, "hashes": {**hashes, **sources}}
    write_bundle(out, stored, about)

"""A quicker copy of a bundle of PP-OCRv6's network, to train on: netchu slim BUNDLE --manifest FILE --out BUNDLE."""

import argparse
from dataclasses import replace
from pathlib import Path

from netchu.core.files import hash_file
from netchu.core.options import new_file, refuse_overwriting

REAL, SYNTHETIC = 160, 40  # lines that it is fitted on


def main() -> None:
    """Read the command line, write the bundle, say how many weights are left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="FILE", help="lines that the bundle learnt from"
    )
    parser.add_argument("--out", type=new_file, required=True, metavar="BUNDLE", help="the .safetensors file to write")
    args = parser.parse_args()
    refuse_overwriting([args.out], [args.bundle, args.manifest])
    import numpy as np  # nothing heavy is imported for --help
    import torch

    from netchu.core.errors import NetchuError
    from netchu.data.manifest import read_lines, split
    from netchu.model.bundle import load_bundle, save_bundle
    from netchu.model.slimming import slim
    from netchu.training.dataset import LineDataset

    bundle = load_bundle(args.bundle)
    lines = split(read_lines(args.manifest), bundle.cfg.fold)[0]
    rng = np.random.default_rng(0)
    kinds = (
        ([line for line in lines if line.is_real], REAL),
        ([line for line in lines if not line.is_found], SYNTHETIC),
    )
    chosen = [kind[i] for kind, most in kinds for i in rng.permutation(len(kind))[:most]]
    if not chosen:
        raise NetchuError(f"{args.manifest}: has no line outside of fold {bundle.cfg.fold}; give the bundle's manifest")
    dataset = LineDataset(chosen, replace(bundle.cfg, cache_mb=0), train=True)
    cfg, model = slim(bundle, [torch.from_numpy(dataset[0, i][0])[None] for i in range(len(dataset))])
    cfg = replace(cfg, name=args.out.stem)
    save_bundle(args.out, model, cfg, bundle.charset, metrics={}, hashes={"slimmed_from": hash_file(args.bundle)})
    before, after = (sum(p.numel() for p in m.parameters()) / 1e6 for m in (bundle.model, model))
    print(f"{args.out}: {after:.2f} of {before:.2f} million weights; train on from it (load_weight)")

"""Weights of another project as a bundle to start from: netchu import-weights PP-OCRv6_rec_small.onnx --out BUNDLE."""

import argparse
from pathlib import Path

from netchu.core.files import hash_file
from netchu.core.options import new_file, refuse_overwriting


def main() -> None:
    """Read the command line, write the bundle, say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="ONNX file of PP-OCRv6's small recognition network")
    parser.add_argument("--out", type=new_file, required=True, metavar="BUNDLE", help="the .safetensors file to write")
    args = parser.parse_args()
    refuse_overwriting([args.out], [args.file])
    from netchu.model.bundle import save_bundle  # PyTorch is not imported for --help
    from netchu.model.ppocr import NETWORK, import_ppocr

    model, cfg, charset, count = import_ppocr(args.file)
    save_bundle(args.out, model, cfg, charset, metrics={}, hashes={"imported_from": hash_file(args.file)})
    print(f"{args.out}: {NETWORK}, {len(charset) - 1} of its {count} characters: {charset.characters}")

"""Options of the commands that read: which model, on which engine, with how many threads."""

import argparse
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.options import add_number
from netchu.reading.engines import ENGINES
from netchu.reading.line_reader import DECODERS


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --bundles or --ensemble, --decoder, --engine and --threads."""
    members = parser.add_mutually_exclusive_group()
    members.add_argument("--bundles", type=Path, nargs="+", default=[], metavar="FILE", help="members of equal weight")
    members.add_argument("--ensemble", type=Path, metavar="FILE.json", help="of netchu select; default: the release")
    parser.add_argument("--decoder", choices=DECODERS, help="of --bundles, default greedy; a recipe names its own")
    parser.add_argument(
        "--engine", choices=("auto", *ENGINES), default="auto",
        help="onnx: onnxruntime; torch: PyTorch; auto: torch on a GPU and for bundles that were never released",
    )  # fmt: skip
    add_number(parser, "--threads", int, 0, default=0, help="of the CPU; 0: as many as it has cores")


def check_model_options(args: argparse.Namespace) -> None:
    """Raise NetchuError for a decoder that nobody would ask."""
    if args.decoder and not args.bundles:
        raise NetchuError(f"--decoder {args.decoder}: is of --bundles; a recipe names its own")
    args.decoder = args.decoder or "greedy"

"""Arguments of `netchu`: select, compare, oof, int8, soup."""

import argparse
import shlex
import sys
from pathlib import Path

from netchu.core.budget import BUDGET_MB
from netchu.model.packing import average_bundles, pack_int8
from netchu.selection.comparison import compare
from netchu.selection.out_of_fold import measure_oof
from netchu.selection.select_ensemble import select_ensemble


def main() -> None:
    """Read the arguments and run the sub-command."""
    parser = argparse.ArgumentParser(description="Make members and choose among them")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("select", help="the best ensemble within limits -> ensemble.json")
    command.add_argument(
        "--oof",
        nargs="+",
        required=True,
        metavar="RUN|BUNDLE=OOF,OOF",
        help="members: run folders (best.safetensors, oof.npz), or a bundle and its out-of-fold files",
    )
    command.add_argument("--budget-mb", type=float, default=BUDGET_MB, help="limit on all files, 10^6 bytes each")
    command.add_argument("--time-s", type=float, default=2.0, help="limit on seconds a line, here, one at a time")
    command.add_argument("--language", type=Path, metavar="FILE", help="n-gram model that the ensemble opens")
    command.add_argument(
        "--held-out-language",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="models that left a fold's labels out, to measure that fold with",
    )
    command.add_argument("--places", type=Path, metavar="FILE", help="gazetteer that the ensemble opens")
    command.add_argument("--parts", type=int, default=5, help="of the nested cross-validation over writers")
    command.add_argument("--out", type=Path, default=Path("ensemble.json"), metavar="FILE")
    command = commands.add_parser("compare", help="every way of decoding and combining, side by side")
    command.add_argument("--oof", nargs="+", required=True, metavar="RUN|BUNDLE=OOF,OOF")
    command.add_argument("--language", type=Path, metavar="FILE")
    command.add_argument("--held-out-language", type=Path, nargs="*", default=[], metavar="FILE")
    command.add_argument("--places", type=Path, metavar="FILE")
    command.add_argument("--parts", type=int, default=2, help="of the writers: tuned on the others, read on one")
    command = commands.add_parser("oof", help="what a bundle says of the fold that it never trained on")
    command.add_argument("bundle", type=Path)
    command.add_argument("--manifest", type=Path, required=True)
    command.add_argument("--source", default="", help="only lines of this data set; empty: all")
    command.add_argument("--stretch", type=float, default=1.0, help="read lines this many times as wide as they are")
    command.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    command = commands.add_parser("int8", help="an int8 copy of a bundle, half its size")
    command.add_argument("bundle", type=Path)
    command.add_argument("--out", type=Path, required=True, metavar="FILE")
    command = commands.add_parser("soup", help="the average of fine-tunes of one pretraining")
    command.add_argument("--bundles", type=Path, nargs="+", required=True, metavar="FILE")
    command.add_argument("--weights", type=float, nargs="*", metavar="W")
    command.add_argument("--any-start", action="store_true", help="their load_weight may differ: they share one before")
    command.add_argument("--out", type=Path, required=True, metavar="FILE")  # fmt: skip
    args = parser.parse_args()
    if args.command == "select":
        select_ensemble(
            args.oof, args.out, budget_mb=args.budget_mb, time_s=args.time_s, language=args.language,
            held_out=args.held_out_language, places=args.places, parts=args.parts,
            command=f"netchu {shlex.join(sys.argv[1:])}",
        )  # fmt: skip
    elif args.command == "compare":
        compare(args.oof, language=args.language, held_out=args.held_out_language, places=args.places, parts=args.parts)
    elif args.command == "oof":
        print(measure_oof(args.bundle, args.manifest, args.out, args.source, args.stretch))
    elif args.command == "int8":
        pack_int8(args.bundle, args.out)
        print(f"{args.out}: {args.out.stat().st_size / 1e6:.3f} MB, was {args.bundle.stat().st_size / 1e6:.3f} MB")
    else:
        average_bundles(args.bundles, args.out, args.weights, any_start=args.any_start)
        print(f"{args.out}: average of {len(args.bundles)} bundles")

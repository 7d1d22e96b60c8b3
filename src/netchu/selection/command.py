"""Arguments of `netchu`: select, compare, oof, int8, soup."""

import argparse
import re
import shlex
import sys
from pathlib import Path

from netchu.core.options import add_number, add_options, new_file, refuse_overwriting


def main() -> None:
    """Read the arguments and run the sub-command."""
    parser = argparse.ArgumentParser(description="Make members and choose among them")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("select", help="the best ensemble within limits -> ensemble.json")
    add_options(command, "--oof", "--budget-mb", "--language", "--held-out-language", "--places")
    add_number(command, "--time-s", float, 0, default=2.0, help="limit on seconds a line, here, one at a time")
    add_number(command, "--parts", int, 2, default=5, help="parts of the nested cross-validation over writers")
    command.add_argument("--out", type=new_file, default="ensemble.json", metavar="FILE", help="the recipe to write")
    command = commands.add_parser("compare", help="every way of decoding and combining, side by side")
    add_options(command, "--oof", "--language", "--held-out-language", "--places")
    add_number(command, "--parts", int, 2, default=2, help="parts of the writers: tuned on the others, read on one")
    command = commands.add_parser("oof", help="what a bundle reads in the fold that it never trained on")
    command.add_argument("bundle", type=Path, help="a .safetensors file")
    add_options(command, "--manifest", required=True)
    command.add_argument("--source", default="", help="only lines of this data set; empty: all")
    add_number(command, "--stretch", float, 0.5, 2, default=1.0, help="read lines so many times as wide as they are")
    command.add_argument("--out", type=new_file, required=True, metavar="FILE.npz", help="out-of-fold file to write")
    command = commands.add_parser("int8", help="an int8 copy of a bundle, half its size")
    command.add_argument("bundle", type=Path, help="a .safetensors file")
    command.add_argument("--out", type=new_file, required=True, metavar="FILE", help="the copy to write")
    command = commands.add_parser("soup", help="the average of fine-tunes of one pretraining")
    add_options(command, "--bundles", required=True)
    add_number(command, "--weights", float, 0, nargs="*", metavar="W", help="a weight for each; default: equal ones")
    command.add_argument("--any-start", action="store_true", help="their load_weight may differ: they share one before")
    command.add_argument("--out", type=new_file, required=True, metavar="FILE", help="the bundle to write")
    args = parser.parse_args()
    if args.command == "select":  # PyTorch is not imported for --help
        from netchu.selection.select_ensemble import select_ensemble

        named = [Path(part) for member in args.oof for part in re.split("[=,]", member)]
        opened = [args.language, *args.held_out_language, args.places, *(path for path in named if path.is_file())]
        refuse_overwriting([args.out], opened)
        select_ensemble(
            args.oof, args.out, budget_mb=args.budget_mb, time_s=args.time_s, language=args.language,
            held_out=args.held_out_language, places=args.places, parts=args.parts,
            command=f"netchu {shlex.join(sys.argv[1:])}",
        )  # fmt: skip
    elif args.command == "compare":
        from netchu.selection.comparison import compare

        compare(args.oof, language=args.language, held_out=args.held_out_language, places=args.places, parts=args.parts)
    elif args.command == "oof":
        from netchu.selection.out_of_fold import measure_oof

        refuse_overwriting([args.out], [args.bundle, args.manifest])
        print(measure_oof(args.bundle, args.manifest, args.out, args.source, args.stretch))
    elif args.command == "int8":
        from netchu.model.packing import pack_int8

        refuse_overwriting([args.out], [args.bundle])
        pack_int8(args.bundle, args.out)
        print(f"{args.out}: {args.out.stat().st_size / 1e6:.3f} MB, was {args.bundle.stat().st_size / 1e6:.3f} MB")
    else:
        from netchu.model.packing import average_bundles

        refuse_overwriting([args.out], args.bundles)
        average_bundles(args.bundles, args.out, args.weights, any_start=args.any_start)
        print(f"{args.out}: average of {len(args.bundles)} bundles")

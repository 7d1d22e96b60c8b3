"""Turn data sets into manifests: python prepare_ext_data.py PATH ... [--kalapa DIR] [--synthetic DIR ...] --out data/.

Writes `train_folds.csv` (real lines in 5 writer-disjoint folds, which stay as they are once written) and
`train_ext.csv` (the same and all synthetic and helping lines, which are only trained on). The layout of a bare PATH
is detected. Lines that are cut or unpacked from a data set become image files in `images/` of the output folder.
"""

import argparse
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.options import add_number, add_options, new_folder, refuse_idle, refuse_overwriting
from netchu.data.importing import parse_columns, read_helping, read_sources, write_manifests
from netchu.data.layouts import READERS, find_sets
from netchu.data.lmdb_file import refuse_store, write_lmdb
from netchu.data.manifest import read_lines


def main() -> None:
    """Read every path given, record the folds, refuse leaks, write both manifests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH", help="a data set whose layout is to be detected")
    for name, reader in READERS.items():
        parser.add_argument(
            f"--{name}", type=Path, nargs="+", action="extend", default=[], metavar="PATH", help=reader.description
        )
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="KEY=NAME", help="of --csv and --parquet: image=, text=, writer="
    )
    parser.add_argument(
        "--helping", type=Path, nargs="+", action="extend", default=[], metavar="PATH",
        help="data sets of other handwriting, such as another language's: only trained on (config field helping_share)",
    )  # fmt: skip
    parser.add_argument(
        "--group-hands", type=Path, metavar="BUNDLE",
        help="group lines of unknown writers by how their hand looks to this bundle; folds keep such groups together",
    )  # fmt: skip
    add_number(parser, "--hands", int, 0, default=0, metavar="N", help="groups of a source; 0: one for 36 lines")
    parser.add_argument("--out", type=new_folder, default="data", metavar="DIR", help="folder of the manifests")
    parser.add_argument(
        "--write-lmdb", type=new_folder, metavar="DIR", help="also all lines as LMDB for deep-text-recognition tools"
    )
    add_options(parser, "--seed", help="of the folds")
    parser.add_argument(
        "--new-folds", action="store_true", help="make new folds where train_folds.csv has some already"
    )
    args = parser.parse_args()
    bundle, images, folds = None, args.out / "images", args.out / "train_folds.csv"
    if args.write_lmdb:
        refuse_store(args.write_lmdb)
        if images.resolve().is_relative_to(args.write_lmdb.resolve()):
            raise NetchuError(f"--write-lmdb {args.write_lmdb}: --out writes there; name another folder")
    if not args.group_hands:
        refuse_idle(parser, args, "--hands", "is how many groups --group-hands makes; give its bundle")
    elif folds.is_file() and not args.new_folds:
        raise NetchuError("--group-hands wants --new-folds: folds that were recorded do not keep such groups together")
    else:
        from netchu.model.bundle import load_bundle  # PyTorch is imported only here

        bundle = load_bundle(args.group_hands)
    sources = [(name, path) for name in READERS for path in getattr(args, name.replace("-", "_"))]
    sources += [("", path) for path in args.paths]
    every = [*sources, *(("", path) for path in args.helping)]
    refuse_overwriting([folds, args.out / "train_ext.csv"], [path for _, path in every if path.is_file()])
    columns = parse_columns(args.columns, every)
    if args.write_lmdb:
        refuse_overwriting([args.write_lmdb], [found for name, path in every for _, found in find_sets(path, name)])
    if folds.is_file() and not args.new_folds:
        read_lines(folds)  # or a broken one is found when every image has been unpacked
    lines = read_sources(sources, images, columns)
    lines += read_helping(args.helping, images, columns)
    if bundle:
        from netchu.data.hands import group_hands

        lines = group_hands(lines, bundle, args.hands)
    lines = write_manifests(lines, args.out, seed=args.seed, new_folds=args.new_folds)
    if args.write_lmdb:
        write_lmdb(args.write_lmdb, lines)
        print(f"{args.write_lmdb}: {len(lines)} lines as LMDB")

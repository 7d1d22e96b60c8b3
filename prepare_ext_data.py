"""Turn data sets into manifests: python prepare_ext_data.py --kalapa DIR [--synthetic DIR ...] --out data/.

Writes `train_folds.csv` (real lines in 5 writer-disjoint folds, which stay as they are once written) and
`train_ext.csv` (the same and all made lines, which are only trained on).
"""

import argparse
from pathlib import Path

from netchu.charset import Charset
from netchu.errors import NetchuError, run_main
from netchu.manifest import (
    assign_folds,
    inherit_folds,
    keep_folds,
    read_manifest,
    refuse_leaks,
    summary,
    write_manifest,
)
from netchu.readers import READERS


def main() -> None:
    """Read every folder given, record the folds, refuse leaks, write both manifests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, reader in READERS.items():
        parser.add_argument(
            f"--{name}",
            type=Path,
            nargs="+",
            action="extend",
            default=[],
            metavar="DIR",
            help=(reader.__doc__ or "").splitlines()[0],
        )
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder of the manifests")
    parser.add_argument("--seed", type=int, default=0, help="of the folds")
    parser.add_argument(
        "--new-folds", action="store_true", help="make new folds where train_folds.csv has some already"
    )
    args = parser.parse_args()

    if args.seed < 0:
        raise NetchuError(f"--seed {args.seed}: expected 0 or more")
    lines = [
        line
        for name, reader in READERS.items()
        for folder in getattr(args, name.replace("-", "_"))
        for line in reader(folder)
    ]
    real = [line for line in lines if line.is_real]
    made = [line for line in lines if not line.is_real]
    if not lines:
        raise NetchuError("no data set given; for example --kalapa DIR, see --help")

    folds_path, ext_path = args.out / "train_folds.csv", args.out / "train_ext.csv"
    if real:
        recorded = read_manifest(folds_path) if folds_path.is_file() and not args.new_folds else []
        real = keep_folds(real, recorded) if recorded else assign_folds(real, args.seed)
        made = inherit_folds(made, real)
        leaks = refuse_leaks(real + made, ext_path)
        write_manifest(folds_path, real)
        print(
            f"{folds_path}: {len(real)} real lines"
            + (", folds kept as recorded" if recorded else f", new folds (seed {args.seed})")
        )
        print(
            f"  {leaks.shared_texts} texts stand in several folds; {leaks.unknown_writers} lines have no writer, "
            "so the same hand may be on both sides of a fold"
        )
    write_manifest(ext_path, real + made)
    print(f"{ext_path}: {len(real)} real and {len(made)} made lines\n{summary(real + made)}")
    charset = Charset.from_texts(line.text for line in lines)
    print(f"charset: {len(charset) - 1} characters: {charset.characters}")


if __name__ == "__main__":
    run_main(main)

"""Train one run: python train.py -C b0_192_f5 --fold 0 [--set key=value ...] [--resume]."""

import argparse
from pathlib import Path
from typing import Any

from netchu.config import Config, load_config
from netchu.engine import fit
from netchu.errors import run_main
from netchu.rendering import LineSource


def main() -> None:
    """Read the command line, train, print the held-out figure when there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-C", "--config", required=True, metavar="NAME", help="a file of configs/, without .py")
    parser.add_argument("--fold", type=int, help="fold to hold out, 0 to 4; 5 trains on everything")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value", help="change fields of the config"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last saved step of this run")
    args = parser.parse_args()

    configs = Path(__file__).resolve().parent / "configs"
    cfg = load_config(args.config, fold=args.fold, seed=args.seed, overrides=args.set, folder=configs)
    report = fit(cfg, resume=args.resume, open_source=open_source)
    print(f"{cfg.run_dir}: {describe(report)}")


def open_source(cfg: Config) -> LineSource:
    """The generators; they are imported only when a config renders lines while training."""
    from synthetic_data import streaming

    return streaming.open_source(cfg)


def describe(report: dict[str, Any]) -> str:
    """The best held-out figures of a report, or why it has none."""
    best = report["held_out"]
    if best is None:
        return str(report["note"])
    rates = f"CER {100 * best['cer']:.2f} %, exact {100 * best['exact']:.1f} %"
    return f"best held-out {rates}, kalapa_score {best['kalapa_score']:.4f}"


if __name__ == "__main__":
    run_main(main)

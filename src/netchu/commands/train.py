"""Train one run, or the runs of all folds: python train.py -C b0_192_f5 --fold 0 [--set key=value ...].

A run that was stopped goes on when the same command is given again.
"""

import argparse
from typing import Any

from netchu.core.config import Config
from netchu.core.errors import NetchuError, StoppedError
from netchu.core.options import add_options, configured


def main() -> None:
    """Read the command line, train, print the held-out figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "--config", required=True)
    add_options(parser, "--configs", "--set")
    parser.add_argument("--fold", help="fold to hold out, 0 to 4; 5 trains on everything; all: 0 to 4 in turn")
    add_options(parser, "--seed", default=None, help="instead of the config's")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="refuse to begin anew when nothing has been saved")
    begin.add_argument("--restart", action="store_true", help="begin anew; deletes what an earlier run has saved")
    args = parser.parse_args()
    try:
        run(args)
    except StoppedError as stop:
        if not args.restart:
            raise
        raise StoppedError(f"{stop}, without --restart", stop.status - 128) from None


def run(args: argparse.Namespace) -> None:
    """Train what the arguments name."""
    resume = True if args.resume else False if args.restart else None

    def load(fold: int | None) -> Config:
        return configured(args, fold=fold, seed=args.seed)

    def command(cfg: Config) -> list[str]:
        place = ["--fold", str(cfg.fold), "--seed", str(cfg.seed)]
        begun = [f"--{word}" for word in ("resume", "restart") if getattr(args, word)]
        begun += ["--configs", str(args.configs)] if args.configs else []
        return ["-m", "netchu", "train", "-C", args.config, *place, *begun, "--set", *args.set, f"name={cfg.name}"]

    if args.fold == "all":
        from netchu.training.folds import fold_runs, train_folds

        print(train_folds(fold_runs(load), lambda cfg: train(cfg, resume), command, anew=args.restart))
        return
    if args.fold and not args.fold.isdigit():
        raise NetchuError(f"--fold {args.fold}: expected 0 to 5, or all")
    cfg = load(int(args.fold) if args.fold else None)
    print(f"{cfg.run_dir}: {describe(train(cfg, resume))}")


def train(cfg: Config, resume: bool | None) -> dict[str, Any]:
    """One run; the generators are imported only when its config renders lines while training."""
    from netchu.training.engine import fit  # PyTorch is not imported for --help

    if not cfg.synthetic_source:
        return fit(cfg, resume=resume)
    from netchu.synthesis.streaming import open_source

    return fit(cfg, resume=resume, open_source=open_source)


def describe(report: dict[str, Any]) -> str:
    """The best held-out figures of a report, or why it has none."""
    best = report["held_out"]
    if best is None:
        return str(report["note"])
    cer, exact, kalapa = 100 * best["cer"], 100 * best["exact"], best["kalapa_score"]
    return f"best held-out CER {cer:.2f} %, exact {exact:.1f} %, kalapa_score {kalapa:.4f}"

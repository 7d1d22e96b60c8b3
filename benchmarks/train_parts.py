"""What each measure for speed gives a training step: the small family with all of them, and without one or all.

python -m benchmarks.train_parts [--rounds 4] [--seconds 6]

Whole steps (forward, loss, backward, optimiser) on random images of 48 x 800 in batches of 16, the variants in turns,
back and forth, in one run. The unused last stage is what timm computes and stores even when its features are not asked
for.
"""

import argparse
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.rates import print_rates
from netchu.core.config import Config, load_config
from netchu.core.errors import NetchuError, run_main
from netchu.experiments.trial import train_rate

ROOT = Path(__file__).resolve().parent.parent
BATCH = 16  # lines


def keep_unused() -> AbstractContextManager[object]:
    """Networks built inside keep the stages that they do not use."""
    return patch("netchu.model.backbones.drop_unused", lambda network: None)


def build_variants(cfg: Config, seconds: float) -> dict[str, Callable[[], float]]:
    """Name of each variant -> one measurement of its lines a second."""

    def measure(precision: str = "bf16", *, channels_last: bool = True, drops_unused: bool = True) -> float:
        with nullcontext() if drops_unused else keep_unused():
            return train_rate(cfg, BATCH, channels_last=channels_last, precision=precision, seconds=seconds)

    return {
        "as it ships": measure,
        "unused last stage kept": lambda: measure(drops_unused=False),
        "contiguous, not channels_last": lambda: measure(channels_last=False),
        "float32, not bfloat16": lambda: measure("fp32"),
        "none of the three": lambda: measure("fp32", channels_last=False, drops_unused=False),
    }


def main() -> None:
    """Measure in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="turns that each variant gets")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a turn")
    args = parser.parse_args()
    if args.rounds < 1 or args.seconds <= 0:
        raise NetchuError("--rounds must be at least 1 and --seconds above 0")
    variants = build_variants(load_config("b0_192_f5", folder=ROOT / "configs"), args.seconds)
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(args.rounds):
        for name in list(variants)[:: -1 if turn % 2 else 1]:  # back and forth: a rate depends on what ran before it
            rates[name].append(variants[name]())
    shipped = statistics.median(rates["as it ships"])
    print(f"training step, batch {BATCH}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print_rates(rates, "of shipped", lambda median: f"{median / shipped:.2f}")


if __name__ == "__main__":
    run_main(main)

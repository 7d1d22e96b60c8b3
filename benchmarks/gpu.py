"""What to do with a GPU that is lent for minutes: test, measure, then train on.

python -m benchmarks.gpu -C release/pp_2_f0 [--minutes 8] [--skip-tests]

1. The tests that only a GPU can run (`make test-gpu`), at most a third of the time.
2. Lines a second of whole training steps at batch 64, in fp16 and channels_last, of b0, b1, b2 and the PP member.
3. The training of `-C` begins, or goes on from its last state, and is stopped in order before the time is over.

A part that fails or takes too long is told and the next one begins. The last line says what was kept.
"""

import argparse
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from netchu.core.config import load_config
from netchu.core.errors import NetchuError, run_main
from netchu.experiments.trial import train_rate
from netchu.training.resume import can_resume

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {"b0": "b0_192_f5", "b1": "b1_384_f5", "b2": "b2_256_f5", "PP": "release/pp_1_f0"}
BATCH = 64
TEST_SHARE = 1 / 3  # of the time, at most
RATE_SECONDS = 5.0  # of measuring, each network
RESERVE = 30.0  # seconds kept for a run to save its state and end


def run_tests(seconds: float) -> str:
    """Run the GPU's tests; what became of them."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-rs", "-n0"]
    try:
        status = subprocess.run(command, cwd=ROOT, timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} s"
    return "passed" if status == 0 else f"failed with status {status}, see above"


def measure_rates() -> None:
    """Print lines a second of each family."""
    for family, name in FAMILIES.items():
        cfg = replace(load_config(name, folder=ROOT / "configs"), pretrained=False)
        rate = train_rate(cfg, BATCH, channels_last=True, precision="fp16", seconds=RATE_SECONDS)
        print(f"{family:4} {cfg.backbone:24} {cfg.height} px, batch {BATCH}: {rate:8.1f} lines/s", flush=True)


def train_on(name: str, seconds: float) -> str:
    """Train a config for so long, from its last state if it has one; what became of it."""
    cfg = load_config(name, folder=ROOT / "configs")
    words = ["--resume"] if can_resume(cfg) else []
    process = subprocess.Popen([sys.executable, str(ROOT / "train.py"), "-C", name, *words], cwd=ROOT)
    try:
        process.wait(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait()
        return f"stopped in time; its state and bundles are in {cfg.run_dir}"
    return f"ended with status {process.returncode}; see {cfg.run_dir}"


def main() -> None:
    """Test, measure, train on, each within its share of the time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-C", "--config", required=True, metavar="NAME", help="the run to go on with")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long the GPU is there")
    parser.add_argument("--skip-tests", action="store_true", help="they have passed on this machine before")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise NetchuError("no GPU that CUDA can use; netchu trial auto measures a processor")
    end = time.monotonic() + 60 * args.minutes
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    tests = "skipped" if args.skip_tests else run_tests(60 * args.minutes * TEST_SHARE)
    measure_rates()
    training = train_on(args.config, end - time.monotonic() - RESERVE)
    print(f"tests: {tests}\ntraining: {training}")


if __name__ == "__main__":
    run_main(main)

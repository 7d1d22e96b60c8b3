"""Short trials of a config on this machine, before a training of hours.

`netchu trial auto -C b0_192_f5` measures which batch size, number format, memory format and number of data
workers are fastest here and prints the `--set` words for them, with the rates behind each choice.
`netchu trial lr -C b0_192_f5` raises the learning rate from batch to batch until the loss grows, and names
the rate where it fell fastest (Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017).
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.options import add_number, add_options, configured, refuse_idle

WIDTH, LETTERS, CLASSES = 800, 40, 160  # a usual line, for trials without data
LARGER = 1.05  # a larger batch must be that much faster to be chosen
MEMORY_SHARE = 0.8  # of a GPU that a batch may take
LR_FROM, LR_TO = 1e-5, 1.0
HEADROOM = 1.5  # data workers should be that much faster than training


def train_rate(cfg: Config, batch_size: int, *, channels_last: bool, precision: str, seconds: float) -> float:
    """Lines a second of whole training steps on random images; 0 when the batch does not fit into memory."""
    import torch  # not for --help

    from netchu.model.losses import CtcObjective
    from netchu.model.precision import autocast
    from netchu.model.recogniser import build_model
    from netchu.training.optimizer import build_optimizer

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    try:
        model = build_model(replace(cfg, pretrained=False), CLASSES)
        objective = CtcObjective(model, cfg.shortcut_weight).to(device).to(memory_format=memory_format)
        optimizer = build_optimizer(objective, objective.model.backbone, lr=1e-4, weight_decay=0.01, layer_decay=1.0)
        images = torch.rand(batch_size, 1, cfg.height, WIDTH, device=device).to(memory_format=memory_format)
        targets = torch.randint(1, CLASSES, (batch_size, LETTERS), device=device)
        lengths = torch.full((batch_size,), LETTERS)

        def step() -> None:
            with autocast(device, precision):
                loss = objective(images, targets, lengths)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.synchronize()

        step()
        began, steps = time.perf_counter(), 0
        while steps < 2 or time.perf_counter() - began < seconds:
            step()
            steps += 1
        rate = steps * batch_size / (time.perf_counter() - began)
        if device.type == "cuda":
            taken = torch.cuda.max_memory_allocated() / torch.cuda.get_device_properties(0).total_memory
            return rate if taken < MEMORY_SHARE else 0.0
        return rate
    except torch.OutOfMemoryError:
        return 0.0
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def choose_batch(rates: dict[int, float]) -> int:
    """The smallest batch size that no larger one beats by LARGER."""
    best = min(rates)
    for size in sorted(rates):
        if rates[size] > LARGER * rates[best]:
            best = size
    return best


def data_rate(cfg: Config, lines: int) -> float:
    """Lines a second that one data worker decodes, augments and stacks."""
    from netchu.training.dataset import collate
    from netchu.training.engine import Trainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(replace(cfg, output_dir=folder, workers=0, pretrained=False), resume=False)
        began, seen = time.perf_counter(), 0
        for keys in trainer.sampler:
            collate(trainer.charset, [trainer.train_set[key] for key in keys])
            seen += len(keys)
            if seen >= lines:
                break
        return seen / (time.perf_counter() - began)


def auto_configure(cfg: Config, *, seconds: float) -> list[str]:
    """Measure, choose and say why; returns `key=value` words for --set. Each measurement takes about `seconds`."""
    import torch

    from netchu.model.precision import choose_precision

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{device.type}: {name}, {os.cpu_count()} cores, torch {torch.__version__}")
    formats = ("fp16", "bf16") if device.type == "cuda" else ("bf16", "fp32")
    options = {(p, c): 0.0 for p in formats for c in (True, False)}
    for precision, channels_last in options:
        options[precision, channels_last] = train_rate(
            cfg, 16, channels_last=channels_last, precision=precision, seconds=seconds
        )
        layout = "channels_last" if channels_last else "contiguous"
        print(f"  {precision}, {layout}, batch 16: {options[precision, channels_last]:.1f} lines/s")
    precision, channels_last = max(options, key=lambda option: options[option])
    chosen = f"precision={precision}, channels_last={channels_last}"
    print(f"{chosen}: fastest (precision=auto would be {choose_precision('auto', device)})")
    sizes = (16, 32, 64, 128, 256, 512) if device.type == "cuda" else (8, 16, 32)
    rates: dict[int, float] = {}
    for size in sizes:
        rate = train_rate(cfg, size, channels_last=channels_last, precision=precision, seconds=seconds)
        print(f"  batch {size}: {f'{rate:.1f} lines/s' if rate else 'does not fit into memory'}")
        if not rate:
            break
        rates[size] = rate
    if not rates:
        raise NetchuError(f"config {cfg.name}: {sizes[0]} lines do not fit into memory; lower height or max_width")
    batch = choose_batch(rates)
    print(f"batch_size={batch}: no larger one is {100 * (LARGER - 1):.0f} % faster")
    worker = data_rate(cfg, 200)
    workers = max(1, min((os.cpu_count() or 2) - 1, math.ceil(HEADROOM * rates[batch] / worker)))
    print(f"workers={workers}: one prepares {worker:.0f} lines/s, training takes {rates[batch]:.0f}")
    layout = f"channels_last={str(channels_last).lower()}"
    return [f"precision={precision}", layout, f"batch_size={batch}", f"workers={workers}"]


def range_test(cfg: Config, batches: int) -> list[tuple[float, float]]:
    """(learning rate, smoothed loss) of each batch while the rate grows from LR_FROM to LR_TO; ends when the loss has
    grown to four times its least."""
    from netchu.training.dataset import collate
    from netchu.training.engine import Trainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(replace(cfg, output_dir=folder, workers=0, lr=1.0), resume=False)
        train_step = trainer.train_step
        train_step.factor = lambda progress: LR_FROM * (LR_TO / LR_FROM) ** progress
        train_step.objective.train()
        course: list[tuple[float, float]] = []
        mean, least = 0.0, math.inf
        with tqdm(total=batches, unit="batch", desc="learning rates") as bar:
            while len(course) < batches:
                for keys in trainer.sampler.plan():
                    batch = collate(trainer.charset, [trainer.train_set[key] for key in keys])
                    value, _ = train_step.step(batch, progress=len(course) / batches, closes=True, stop=False)
                    mean = 0.9 * mean + 0.1 * value
                    smooth = mean / (1 - 0.9 ** (len(course) + 1))
                    course.append((train_step.lr, smooth))
                    bar.update(1)
                    least = min(least, smooth)
                    if smooth > 4 * least or len(course) >= batches:
                        return course
                trainer.sampler.epoch += 1
    return course


def steepest(course: Sequence[tuple[float, float]]) -> float:
    """Learning rate at which the loss fell fastest with the logarithm of the rate."""
    rates = np.log([rate for rate, _ in course])
    losses = np.log([max(loss, 1e-9) for _, loss in course])
    return float(np.exp(rates[int(np.gradient(losses, rates).argmin())]))


def main() -> None:
    """Read the command line, run a trial, print what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["auto", "lr"])
    add_options(parser, "--config", required=True)
    add_options(parser, "--configs", "--set")
    add_number(parser, "--seconds", float, 0, default=5.0, help="of each measurement of auto")
    add_number(parser, "--batches", int, 10, default=150, help="of lr")
    args = parser.parse_args()
    other, options = ("lr", "--batches") if args.what == "auto" else ("auto", "--seconds")
    refuse_idle(parser, args, options, f"is of netchu trial {other}; leave it out")
    cfg = configured(args)
    if args.what == "auto":
        print(f"--set {' '.join(auto_configure(cfg, seconds=args.seconds))}")
        return
    course = range_test(cfg, args.batches)
    for rate, loss in course[:: max(1, len(course) // 15)]:
        print(f"  lr {rate:.1e}: loss {loss:.3f}")
    print(f"--set lr={steepest(course):.1e}  (where the loss fell fastest; it grows beyond {course[-1][0]:.1e})")

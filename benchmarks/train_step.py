"""Lines a second of a training step: this project's small family beside VietOCR's, same images, same machine, same run.

python -m benchmarks.train_step [--rounds 2] [--steps 60] [--peer-steps 2]

Ours is the whole trainer as `train.py` runs it, with decoding, augmentation and waiting for data. VietOCR's is the
step of its own trainer (forward, label-smoothing loss, backward, clipping, AdamW) on batches that are ready in memory.
The package is installed without its dependencies into `benchmarks/.peers`, so that its pins change nothing here.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.peers import install_peers
from benchmarks.rates import print_rates
from netchu.core.config import Config, load_config
from netchu.core.errors import NetchuError, run_main
from netchu.core.files import read_log
from netchu.data.manifest import Line, write_manifest
from netchu.experiments.trial import data_rate
from netchu.model.precision import autocast, choose_precision
from netchu.model.recogniser import build_model
from netchu.synthesis.fonts import PACKAGED, find_fonts
from netchu.synthesis.renderer import Renderer
from netchu.training.engine import LOG_EVERY, fit

ROOT = Path(__file__).resolve().parent.parent
HEIGHT, WIDTH, BATCH = 48, 768, 16  # pixels as the network sees them, padding included
CLASSES = 233  # of VietOCR's charset
VIETOCR = ("vietocr==0.3.13", "einops==0.8.1")
TEXT = "Số 12 Ngõ 7 Xã Tân Phú Huyện Đức Hoà Long An"  # 44 characters, near the mean of real lines

Step = Callable[[], float]  # runs one measurement, returns lines a second


def render_images(count: int, pad: int) -> list[np.ndarray]:
    """Synthetic lines of exactly HEIGHT x (WIDTH - 2 pad) pixels."""
    renderer = Renderer(find_fonts(PACKAGED)[:4], height=HEIGHT)
    size = (WIDTH - 2 * pad, HEIGHT)
    return [cv2.resize(renderer.render(TEXT, np.random.default_rng(i)), size) for i in range(count)]


def prepare_ours(images: list[np.ndarray], folder: Path, steps: int) -> Config:
    """A manifest of `steps` batches over the images, and the small family's config for it."""
    lines = []
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i}.png"), image)
        lines.append(Line(folder / f"{i}.png", TEXT, source="rendered"))
    manifest = folder / "train_folds.csv"
    write_manifest(manifest, [lines[i % len(lines)] for i in range(steps * BATCH)])
    cfg = load_config("b0_192_f5", folder=ROOT / "configs")
    return replace(cfg, manifest=str(manifest), batch_size=BATCH, epochs=1, output_dir=str(folder / "outputs"))


def measure_ours(cfg: Config) -> tuple[float, float]:
    """(lines/s, share of time waiting for data) over all logged windows but the first."""
    fit(cfg)
    windows = [r for r in read_log(cfg.run_dir / "log.jsonl") if "lines_per_s" in r][1:]
    return statistics.median(r["lines_per_s"] for r in windows), statistics.median(r["data_wait"] for r in windows)


def measure_forward(cfg: Config, seconds: float = 3.0) -> float:
    """Lines a second of the network alone, reading: same geometry, batch 8, the number format of this machine."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(cfg, 150).eval().to(device).to(memory_format=torch.channels_last)
    images = torch.rand(8, 1, HEIGHT, WIDTH, device=device).to(memory_format=torch.channels_last)
    precision = choose_precision("auto", device)
    with torch.inference_mode(), autocast(device, precision):
        model(images)
        began, passes = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            model(images)
            passes += 1
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 8 * passes / (time.perf_counter() - began)


def build_vietocr(kind: str) -> torch.nn.Module:
    """VietOCR's `seq2seq` or `transformer` over vgg19, with the sizes of its published configs and random weights."""
    from vietocr.model.transformerocr import VietOCR

    pools = [[2, 2], [2, 2], [2, 1], [2, 1], [1, 1]]
    cnn: dict[str, Any] = {"pretrained": False, "ss": pools, "ks": pools, "hidden": 256}
    decoder: dict[str, Any] = {
        "seq2seq": {"encoder_hidden": 256, "decoder_hidden": 256, "img_channel": 256, "decoder_embedded": 256,
                    "dropout": 0.1},
        "transformer": {"d_model": 256, "nhead": 8, "num_encoder_layers": 6, "num_decoder_layers": 6,
                        "dim_feedforward": 2048, "max_seq_length": 1024, "pos_dropout": 0.1, "trans_dropout": 0.1},
    }[kind]  # fmt: skip
    model: torch.nn.Module = VietOCR(CLASSES, "vgg19_bn", cnn, decoder, kind)
    return model


def build_peer(kind: str, images: list[np.ndarray]) -> Step:
    """One training step of VietOCR."""
    from vietocr.optim.labelsmoothingloss import LabelSmoothingLoss

    length = len(TEXT) + 2
    model = build_vietocr(kind).train()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), eps=1e-09, lr=3e-4)
    criterion = LabelSmoothingLoss(CLASSES, padding_idx=0, smoothing=0.1)
    padded = [np.pad(image, ((0, 0), (0, WIDTH - image.shape[1])), mode="edge") for image in images[:BATCH]]
    batch = torch.from_numpy(np.stack(padded)).float().div(255)[:, None].expand(-1, 3, -1, -1).contiguous()
    target = torch.randint(4, CLASSES, (length, BATCH))
    mask = torch.zeros(BATCH, length - 1, dtype=torch.bool)

    def step() -> float:
        began = time.perf_counter()
        output = model(batch, target[:-1], mask)
        loss = criterion(output.flatten(0, 1), target[1:].T.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        return BATCH / (time.perf_counter() - began)

    return step


def main() -> None:
    """Measure in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="turns that each contestant gets")
    parser.add_argument("--steps", type=int, default=60, help=f"of ours in a turn, more than {2 * LOG_EVERY}")
    parser.add_argument("--peer-steps", type=int, default=2, help="of VietOCR's in a turn")
    args = parser.parse_args()
    if args.steps <= 2 * LOG_EVERY or args.rounds < 1 or args.peer_steps < 1:
        raise NetchuError(f"--steps must be above {2 * LOG_EVERY}, --rounds and --peer-steps at least 1")

    install_peers(*VIETOCR)
    images = render_images(64, pad=8)
    peers = {f"vietocr vgg_{kind}": build_peer(kind, images) for kind in ("seq2seq", "transformer")}
    rates: dict[str, list[float]] = {"netchu b0_192": [], **{name: [] for name in peers}}
    waits, forwards, inputs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        cfg = prepare_ours(images, Path(folder), args.steps)
        for _ in range(args.rounds):
            rate, wait = measure_ours(cfg)
            rates["netchu b0_192"].append(rate)
            waits.append(wait)
            forwards.append(measure_forward(cfg))
            inputs.append(data_rate(cfg, args.steps * BATCH))
            for name, step in peers.items():
                rates[name] += [step() for _ in range(args.peer_steps)]

    ours = statistics.median(rates["netchu b0_192"])
    machine = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"\ntraining step, {HEIGHT} x {WIDTH}, batch {BATCH}, {machine}")
    print_rates(rates, "ours is", lambda median: f"{ours / median:.1f}x")
    forward = statistics.median(forwards)
    print(f"forward alone, batch 8: {forward:.1f} lines/s; a whole training step runs at {ours / forward:.2f} of it")
    pipeline = statistics.median(inputs)
    print(f"one data worker alone: {pipeline:.1f} lines/s, {pipeline / ours:.1f} times what training takes")
    print(f"share of our time spent waiting for data: {100 * statistics.median(waits):.1f} %")


if __name__ == "__main__":
    run_main(main)

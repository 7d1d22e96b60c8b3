"""How much faster an exported model reads than PyTorch, line by line, on the same lines in the same run.

`python -m benchmarks.export [--bundle FILE] [--images DIR] [--lines 24] [--rounds 5] [--threads 2]`. Without a bundle
it takes an untrained network of `configs/b0_192_f5.py`, since speed does not depend on what the weights learnt, and
without a folder lines that are rendered here. Each contestant reads every line once a round, one line at a time, from
grey image to text; the contestants take turns by line, and the median over rounds is compared, so that a busy machine
disturbs all of them alike.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from netchu.core.charset import Charset
from netchu.core.config import load_config
from netchu.core.errors import NetchuError, run_main
from netchu.core.image_files import find_images
from netchu.core.images import Image, read_image
from netchu.export.onnx_file import write_onnx
from netchu.export.quantise import SCHEMES
from netchu.model.bundle import Bundle, load_bundle
from netchu.model.recogniser import build_model
from netchu.reading.ensemble import Ensemble
from netchu.reading.lite import LiteRecogniser
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import packaged_gazetteer
from netchu.synthesis.fonts import find_fonts
from netchu.synthesis.renderer import Renderer

ROOT = Path(__file__).resolve().parent.parent
TARGET = 1.5
Read = Callable[[Image], str]


def rendered(count: int) -> list[Image]:
    """Lines of made-up addresses, 64 pixels high."""
    grammar, renderer = AddressGrammar(packaged_gazetteer()), Renderer(find_fonts()[:4], height=64)
    rng = np.random.default_rng(0)
    return [renderer.render(grammar.sample(rng), rng) for _ in range(count)]


def untrained() -> Bundle:
    """The network of the small family."""
    cfg = load_config("b0_192_f5", overrides=["pretrained=false"], folder=ROOT / "configs")
    charset = Charset("".join(map(chr, range(0x1EA0, 0x1EA0 + 80))) + " 0123456789")
    model = build_model(cfg, len(charset)).eval().to(memory_format=torch.channels_last)
    return Bundle(Path("untrained"), model, cfg, charset, {})


def contestants(bundle: Bundle, folder: Path, threads: int) -> dict[str, Read]:
    """Name -> reader of one line."""
    torch.set_num_threads(threads)
    readers: dict[str, Read] = {}
    for precision in ("fp32", "bf16"):
        ensemble = Ensemble([bundle], precision=precision)
        readers[f"torch {precision}"] = lambda image, e=ensemble: e.read([image])[0].reading.text  # type: ignore[misc]
    source = folder / "float.onnx"
    write_onnx(bundle, source)
    models = {"lite onnx": source}
    SCHEMES["weight-only"](source, folder / "int8.onnx", [])
    models["lite int8"] = folder / "int8.onnx"
    for name, path in models.items():
        lite = LiteRecogniser(path, threads=threads)
        readers[name] = lambda image, r=lite: r.read([image])[0].text  # type: ignore[misc]
    return readers


def measure(
    readers: dict[str, Read], images: list[Image], rounds: int
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """(median milliseconds a line, texts) of each contestant, after one round that does not count."""
    spent: dict[str, list[float]] = {name: [] for name in readers}
    texts: dict[str, list[str]] = {}
    for turn in tqdm(range(rounds + 1), unit="round"):
        total = dict.fromkeys(readers, 0.0)
        found: dict[str, list[str]] = {name: [] for name in readers}
        for image in images:
            for name, read in readers.items():
                began = time.perf_counter()
                found[name].append(read(image))
                total[name] += time.perf_counter() - began
        texts = found
        for name in readers:
            if turn:
                spent[name].append(1000 * total[name] / len(images))
    return {name: statistics.median(values) for name, values in spent.items()}, texts


def main() -> None:
    """Measure in turns, print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, metavar="FILE")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--lines", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if min(args.lines, args.rounds, args.threads) < 1:
        raise NetchuError("--lines, --rounds and --threads: expected 1 or more each")
    bundle = load_bundle(args.bundle) if args.bundle else untrained()
    found = find_images(args.images) if args.images else []
    images = [read_image(p) for p in found[:: max(1, len(found) // args.lines)][: args.lines]] or rendered(args.lines)
    with tempfile.TemporaryDirectory() as folder:
        times, texts = measure(contestants(bundle, Path(folder), args.threads), images, args.rounds)
    slowest = times["torch fp32"]
    print(f"{len(images)} lines, batch 1, {args.threads} threads, median of {args.rounds} rounds")
    for name, milliseconds in times.items():
        same = sum(a == b for a, b in zip(texts[name], texts["torch fp32"], strict=True))
        print(
            f"{name:12} {milliseconds:7.2f} ms/line  {slowest / milliseconds:5.2f} times as fast as torch fp32, "
            f"same text on {same}"
        )
    ratios = {name: times[name] / times["lite onnx"] for name in times if name.startswith("torch")}
    least = min(ratios.values())
    verdict = "met" if least >= TARGET else "missed"
    print(f"lite onnx against the faster torch: {least:.2f} times as fast; target {TARGET} {verdict}")


if __name__ == "__main__":
    run_main(main)

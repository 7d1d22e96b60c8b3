"""Reading speed, memory, size and error beside other readers: same lines, same machine, one run.

python -m benchmarks.inference --manifest data/train_folds.csv --fold 0 --ensemble ensemble.json [--count 100]

Every contestant reads the same images from memory in a process of its own, on `--threads` threads: one line at a time
(mean, median, 95 % of ms/line), then all at once, its own batches (lines/s). Contestants: the ensemble's weightiest
member alone and the whole ensemble, each greedy and as the recipe decodes; asterocr and rapidocr with the weights
in their packages (installed into `benchmarks/.peers`); tesseract with its `vie` data where it is on the path; and
VietOCR's two models with random weights, which show their speed only, made to write as many characters as a mean line.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.peers import PEERS, install_peers
from netchu.core.budget import MEGABYTE
from netchu.core.budget import measure as sizes
from netchu.core.errors import NetchuError, run_main
from netchu.core.images import Image, read_image

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = (
    "asterocr==1.0.2", "rapidocr==3.10.0", "onnxruntime==1.31.1", "flatbuffers", "protobuf", "pyclipper==1.4.0",
    "shapely==2.2.0", "omegaconf==2.4.0", "antlr4-python3-runtime==4.9.3", "colorlog==6.12.0", "six==1.17.0",
    "pyyaml==6.0.3", "requests==2.34.2", "urllib3", "idna", "certifi", "charset-normalizer",
    "vietocr==0.3.13", "einops==0.8.1",
)  # fmt: skip
WRITTEN = 37  # characters that VietOCR is made to write, the mean length of a Kalapa label
WARM = 3  # lines that are read before the clock runs

Read = Callable[[Sequence[np.ndarray]], list[str]]  # grey images (h, w) -> texts


@dataclass(frozen=True, slots=True)
class Contestant:
    """How a reader reads, one line or many, and the files of its model. `speed_only`: its texts mean nothing."""

    one: Read
    many: Read
    files: list[Path]
    speed_only: bool = False


# A contestant's packages are imported where it is built, so that nobody's memory holds another one's.


def build_netchu(path: Path, threads: int, *, alone: bool, greedy: bool) -> Contestant:
    """The ensemble or its weightiest member, as the recipe decodes or greedily."""
    import torch

    from netchu.reading.ensemble import Ensemble
    from netchu.reading.line_reader import Settings
    from netchu.reading.recipe import read_recipe

    torch.set_num_threads(threads)
    recipe = read_recipe(path)
    if alone:
        first = max(range(len(recipe.bundles)), key=lambda i: recipe.weights[i])
        stretch = recipe.all_stretches[first]
        recipe = replace(recipe, bundles=(recipe.bundles[first],), weights=(1.0,), stretches=(stretch,))
    if greedy:
        settings = Settings(decoder="greedy", combination=recipe.settings.combination)
        recipe = replace(recipe, settings=settings, language=None, places=None)
    ensemble = Ensemble.from_recipe(recipe)

    def read(images: Sequence[Image]) -> list[str]:
        return [timed.reading.text for timed in ensemble.read(images)]

    return Contestant(read, read, recipe.files)


def build_asterocr() -> Contestant:
    """asterocr, whose batches are loops."""
    from asterocr import AsterOCR

    reader = AsterOCR(enable_telemetry=False)

    def read(images: Sequence[np.ndarray]) -> list[str]:
        return [str(reader.predict(image)) for image in images]

    return Contestant(read, read, [Path(reader.model_path)])


def build_rapidocr(threads: int, model: str) -> Contestant:
    """rapidocr's recogniser on whole lines, without its detector; `model`: a file instead of its own network."""
    from rapidocr import RapidOCR
    from rapidocr.ch_ppocr_rec.typings import TextRecInput

    names: dict[str, Any] = {
        f"EngineConfig.onnxruntime.{kind}_op_num_threads": n for kind, n in (("intra", threads), ("inter", 1))
    }
    if model:
        names["Rec.model_path"] = model
    reader: Any = RapidOCR(params={"Global.log_level": "critical", **names})
    reader(np.full((48, 200, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)  # loads the recogniser

    def read(images: Sequence[np.ndarray]) -> list[str]:
        found = reader.text_rec(TextRecInput(img=[cv2.cvtColor(i, cv2.COLOR_GRAY2BGR) for i in images]))
        return [str(text) for text in found.txts]

    own = next((PEERS / "rapidocr" / "models").glob("*rec*.onnx"))
    return Contestant(read, read, [Path(model) if model else own])


def build_tesseract(threads: int) -> Contestant:
    """The tesseract program with Vietnamese data, a process a line, as its users call it."""
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False).stdout
    folder = Path(listed.splitlines()[0].split('"')[1])

    def read(images: Sequence[np.ndarray]) -> list[str]:
        texts = []
        for image in images:
            data = cv2.imencode(".png", image)[1].tobytes()
            command = ["tesseract", "-", "-", "-l", "vie", "--psm", "7"]
            limit = {**os.environ, "OMP_THREAD_LIMIT": str(threads)}
            texts.append(
                subprocess.run(command, input=data, capture_output=True, check=True, env=limit).stdout.decode()
            )
        return [" ".join(text.split()) for text in texts]

    return Contestant(read, read, [folder / "vie.traineddata"])


def build_speed(kind: str, threads: int) -> Contestant:
    """VietOCR with random weights, 32 pixels high and up to 512 wide, as its published config has it."""
    import torch
    from vietocr.tool.translate import translate

    from benchmarks.train_step import build_vietocr

    torch.set_num_threads(threads)
    model = build_vietocr(kind).eval()

    def read(images: Sequence[np.ndarray]) -> list[str]:
        for image in images:
            width = min(512, -(-round(image.shape[1] * 32 / image.shape[0]) // 10) * 10)
            pixels = cv2.resize(image, (width, 32), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
            translate(torch.from_numpy(pixels).expand(1, 3, -1, -1), model, max_seq_length=WRITTEN - 1, eos_token=-1)
        return [""] * len(images)

    return Contestant(read, read, [], speed_only=True)


def build(name: str, recipe: Path, threads: int, rapidocr: str) -> Contestant:
    """The contestant of that name."""
    if name.startswith("netchu"):
        return build_netchu(recipe, threads, alone="member" in name, greedy="greedy" in name)
    install_peers(*PACKAGES)
    if name.startswith("vietocr"):
        return build_speed(name.split()[1], threads)
    return {"asterocr": build_asterocr, "rapidocr": lambda: build_rapidocr(threads, rapidocr),
            "tesseract": lambda: build_tesseract(threads)}[name]()  # fmt: skip


def measure(name: str, recipe: Path, paths: Sequence[Path], threads: int, rapidocr: str) -> dict[str, Any]:
    """What one contestant reads, and its figures, measured in this process."""
    images = [read_image(path) for path in paths]
    contestant = build(name, recipe, threads, rapidocr)
    contestant.many(images[:WARM])
    texts, seconds = [], []
    for image in images:
        began = time.perf_counter()
        texts += contestant.one([image])
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    contestant.many(images)
    together = time.perf_counter() - began
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "ms_a_line": 1e3 * statistics.mean(seconds),
        "ms_median": 1e3 * statistics.median(seconds),
        "ms_p95": 1e3 * float(np.percentile(seconds, 95)),
        "lines_a_s": len(images) / together,
        "peak_mb": peak * 1024 / MEGABYTE,
        "model_mb": sum(sizes(contestant.files).values()) / MEGABYTE if contestant.files else None,
        "texts": None if contestant.speed_only else texts,
    }


def run(name: str, recipe: Path, paths: Sequence[Path], threads: int, rapidocr: str) -> dict[str, Any]:
    """The same in a new process; raises NetchuError when it fails."""
    about = {"recipe": str(recipe), "paths": [str(p) for p in paths], "threads": threads, "rapidocr": rapidocr}
    job = json.dumps({"name": name, **about})
    command = [sys.executable, "-m", "benchmarks.inference", "--contestant"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if not name.startswith("netchu"):
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(PEERS), os.environ.get("PYTHONPATH", "")]
        )  # their own pins first
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if done.returncode:
        raise NetchuError((done.stderr.strip().splitlines() or ["no message"])[-1][:120])
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    """Measure every contestant in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="real lines")
    parser.add_argument("--fold", type=int, default=0, help="that the members held out")
    parser.add_argument("--source", default="kalapa", help="only its lines")
    parser.add_argument("--ensemble", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--count", type=int, default=100, help="lines")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rapidocr", default="", metavar="FILE.onnx", help="rapidocr's network instead of its own")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="contestants whose names begin so")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="also write the figures")
    args = parser.parse_args()
    from netchu.core.metrics import score
    from netchu.data.manifest import read_lines, split

    lines = [line for line in split(read_lines(args.manifest), args.fold)[1] if line.source == args.source]
    lines = lines[:: max(1, len(lines) // max(1, args.count))][: args.count]
    if not lines:
        raise NetchuError(f"{args.manifest}: has no line of source {args.source} in fold {args.fold}")
    install_peers(*PACKAGES)
    kinds = [f"netchu {what}, {how}" for what in ("member", "ensemble") for how in ("greedy", "full")]
    names = [*kinds, "asterocr", "rapidocr", *(["tesseract"] if shutil.which("tesseract") else []),
             "vietocr seq2seq", "vietocr transformer"]  # fmt: skip
    names = [name for name in names if name.startswith(tuple(args.only))]
    if not names:
        raise NetchuError(f"--only {' '.join(args.only)}: no contestant's name begins so")
    figures: dict[str, dict[str, Any]] = {}
    print(f"{len(lines)} lines of source {args.source}, fold {args.fold}, {args.threads} threads")
    columns = (
        ("ms/line", 9),
        ("median", 8),
        ("95 %", 8),
        ("lines/s", 9),
        ("peak MB", 9),
        ("model MB", 10),
        ("CER %", 8),
        ("WER %", 8),
        ("exact %", 9),
        ("kalapa", 8),
    )
    print(f"{'':26}" + "".join(f"{title:>{width}}" for title, width in columns))
    for name in names:
        try:
            row = run(name, args.ensemble, [line.path.resolve() for line in lines], args.threads, args.rapidocr)
        except NetchuError as error:
            print(f"{name:26}could not run: {error}", flush=True)
            continue
        texts = row.pop("texts")
        scores = score(texts, [line.text for line in lines]) if texts else None
        figures[name] = {**row, "scores": scores.to_dict() if scores else None}
        size = f"{row['model_mb']:10.1f}" if row["model_mb"] is not None else f"{'-':>10}"
        quality = f"{'-':>8}{'-':>8}{'-':>9}{'-':>8}"
        if scores:
            quality = (
                f"{100 * scores.cer:8.2f}{100 * scores.wer:8.2f}{100 * scores.exact:9.1f}{scores.kalapa_score:8.4f}"
            )
        print(
            f"{name:26}{row['ms_a_line']:9.1f}{row['ms_median']:8.1f}{row['ms_p95']:8.1f}{row['lines_a_s']:9.1f}"
            f"{row['peak_mb']:9.0f}{size}{quality}",
            flush=True,
        )
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--contestant"]:
        order = json.load(sys.stdin)
        images = [Path(p) for p in order["paths"]]
        answer = measure(order["name"], Path(order["recipe"]), images, order["threads"], order["rapidocr"])
        print("\n" + json.dumps(answer))
    else:
        run_main(main)

"""Reading speed, memory, size and error beside other readers: same lines, same machine, one run.

python -m benchmarks.inference --manifest data/train_folds.csv --fold 0 --ensemble ensemble.json [--count 100]

Every contestant reads the same images from memory in a process of its own, on `--threads` threads, in float32: one line
at a time (mean, median, 95 % of ms/line, processor time), then all at once, its own batches (lines/s). Before that it
is started three times: seconds from the start of the process to the first text, the least of them. "installed" is what
it and all that it requires take on the disk. `--images DIR` instead of `--manifest` measures without scores.

Contestants: the ensemble's weightiest member alone and the whole ensemble, each greedy and as the recipe decodes, and
with every member asked where the recipe ends lines early; asterocr and rapidocr with the weights in their packages
(installed into `benchmarks/.peers`); tesseract with its `vie` data where it is on the path; and VietOCR's two models
with random weights, which show their speed only, made to write as many characters as a mean line. `--avx2` holds all
of them to AVX2, which is what most offices have.
"""

import argparse
import atexit
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.avx2 import held_environment
from benchmarks.peers import PEERS, install_peers, installed_mb
from netchu.core.budget import MEGABYTE
from netchu.core.budget import measure as sizes
from netchu.core.errors import NetchuError, run_main
from netchu.core.image_files import find_images
from netchu.core.images import Image, read_image
from netchu.core.metrics import score

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = (
    "asterocr==1.0.2", "rapidocr==3.10.0", "onnxruntime==1.31.1", "flatbuffers", "protobuf", "pyclipper==1.4.0",
    "shapely==2.2.0", "omegaconf==2.4.0", "antlr4-python3-runtime==4.9.3", "colorlog==6.12.0", "six==1.17.0",
    "pyyaml==6.0.3", "requests==2.34.2", "urllib3", "idna", "certifi", "charset-normalizer",
    "vietocr==0.3.13", "einops==0.8.1",
)  # fmt: skip
WRITTEN = 37  # characters that VietOCR is made to write, the mean length of a Kalapa label
WARM = 3  # lines that are read before the clock runs
STARTS = 3  # of a contestant, the quickest of which counts
ALL_ASKED = "all asked"
COLUMNS = {  # title: (key of the figures, format)
    "ms/line": ("ms_a_line", "9.1f"), "median": ("ms_median", "8.1f"), "95 %": ("ms_p95", "8.1f"),
    "cpu ms": ("cpu_ms", "8.1f"), "lines/s": ("lines_a_s", "9.1f"), "start s": ("start_s", "9.2f"),
    "peak MB": ("peak_mb", "9.0f"), "installed": ("installed_mb", "11.0f"), "model MB": ("model_mb", "10.1f"),
}  # fmt: skip
SCORES = {"CER %": (100, "cer", "8.2f"), "WER %": (100, "wer", "8.2f"), "exact %": (100, "exact", "9.1f"),
          "kalapa": (1, "kalapa_score", "8.4f")}  # fmt: skip

Read = Callable[[Sequence[np.ndarray]], list[str]]  # grey images (h, w) -> texts


@dataclass(frozen=True, slots=True)
class Contestant:
    """How a reader reads, one line or many, and the files of its model. `speed_only`: its texts mean nothing."""

    one: Read
    many: Read
    files: list[Path]
    speed_only: bool = False


# A contestant's packages are imported where it is built, so that nobody's memory holds another one's.


def build_netchu(path: Path, threads: int, what: str) -> Contestant:
    """The ensemble or its weightiest member; `what` says how: greedily, as the recipe does, or asking every member."""
    from netchu import Reader
    from netchu.reading.line_reader import Settings
    from netchu.reading.recipe import read_recipe, write_recipe

    recipe = read_recipe(path)
    if "member" in what:
        first = max(range(len(recipe.bundles)), key=lambda i: recipe.weights[i])
        stretch = recipe.all_stretches[first]
        recipe = replace(recipe, bundles=(recipe.bundles[first],), weights=(1.0,), stretches=(stretch,))
    if "greedy" in what:
        settings = Settings(decoder="greedy", combination=recipe.settings.combination)
        recipe = replace(recipe, settings=settings, language=None, places=None)
    if ALL_ASKED in what:
        recipe = replace(recipe, settings=replace(recipe.settings, clear=1.0, sure=1.0))
    folder = Path(tempfile.mkdtemp())  # stays: the bundles are named from it, and each thread opens them anew
    atexit.register(shutil.rmtree, folder)
    write_recipe(folder / "ensemble.json", recipe)
    reader = Reader(folder / "ensemble.json", threads=threads)
    reader.ensemble.precision = "fp32"

    def read(images: Sequence[Image]) -> list[str]:
        return [reading.text for reading in reader.read(list(images))]

    return Contestant(read, read, [file for file in recipe.files if file != recipe.path])


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


@dataclass(frozen=True, slots=True)
class Job:
    """What a contestant's process is asked to do; `rapidocr`: a network instead of its own, or nothing."""

    name: str
    recipe: str
    paths: list[str]
    threads: int
    rapidocr: str
    avx2: bool


def build(job: Job) -> Contestant:
    """The contestant of a job."""
    if job.name.startswith("netchu"):
        return build_netchu(Path(job.recipe), job.threads, job.name)
    install_peers(*PACKAGES)
    if job.name.startswith("vietocr"):
        return build_speed(job.name.split()[1], job.threads)
    return {"asterocr": build_asterocr, "rapidocr": lambda: build_rapidocr(job.threads, job.rapidocr),
            "tesseract": lambda: build_tesseract(job.threads)}[job.name]()  # fmt: skip


def used() -> tuple[float, float]:
    """(processor seconds, MB at most) of this process and those that it has run."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both), max(one.ru_maxrss for one in both) * 1024 / MEGABYTE


def measure(job: Job) -> dict[str, Any]:
    """What one contestant reads, and its figures, measured in this process."""
    images = [read_image(Path(path)) for path in job.paths]
    contestant = build(job)
    contestant.many(images[:WARM])
    texts, seconds = [], []
    before = used()[0]
    for image in images:
        began = time.perf_counter()
        texts += contestant.one([image])
        seconds.append(time.perf_counter() - began)
    busy = used()[0] - before
    contestant.many(images[: 16 * WARM])  # what is opened for many lines
    began = time.perf_counter()
    contestant.many(images)
    together = time.perf_counter() - began
    own = ROOT / "src" / "netchu"
    return {
        "ms_a_line": 1e3 * statistics.mean(seconds),
        "ms_median": 1e3 * statistics.median(seconds),
        "ms_p95": 1e3 * float(np.percentile(seconds, 95)),
        "cpu_ms": 1e3 * busy / len(images),
        "lines_a_s": len(images) / together,
        "peak_mb": used()[1],
        "installed_mb": installed_mb(job.name.split()[0], own if job.name.startswith("netchu") else None),
        "model_mb": sum(sizes(contestant.files).values()) / MEGABYTE if contestant.files else None,
        "texts": None if contestant.speed_only else texts,
    }


def run(job: Job) -> dict[str, Any]:
    """The same in a new process, after some starts; raises NetchuError when it fails."""
    starts = []
    for _ in range(STARTS):
        began = time.perf_counter()
        _start(job, "--first")
        starts.append(time.perf_counter() - began)
    figures: dict[str, Any] = json.loads(_start(job, "--contestant"))
    return {**figures, "start_s": min(starts)}


def _start(job: Job, what: str) -> str:
    """The last line that a process of this module writes."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads)}
    if not job.name.startswith("netchu"):  # their own pins first
        environment["PYTHONPATH"] = os.pathsep.join([str(PEERS), os.environ.get("PYTHONPATH", "")])
    if job.avx2:
        environment |= held_environment(environment.get("PYTHONPATH", ""))
    command = [sys.executable, "-m", "benchmarks.inference", what]
    done = subprocess.run(
        command, input=json.dumps(asdict(job)), capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    if done.returncode:
        raise NetchuError((done.stderr.strip().splitlines() or ["no message"])[-1][:120])
    return done.stdout.strip().splitlines()[-1]


def choose_lines(args: argparse.Namespace) -> tuple[list[Path], list[str]]:
    """(images, labels) of the command line; no labels for a folder."""
    if args.images:
        return find_images(args.images), []
    from netchu.data.manifest import read_lines, split

    lines = [line for line in split(read_lines(args.manifest), args.fold)[1] if line.source == args.source]
    if not lines:
        raise NetchuError(f"{args.manifest}: has no line of source {args.source} in fold {args.fold}")
    return [line.path for line in lines], [line.text for line in lines]


def main() -> None:
    """Measure every contestant in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lines_of = parser.add_mutually_exclusive_group(required=True)
    lines_of.add_argument("--manifest", type=Path, help="real lines")
    lines_of.add_argument("--images", type=Path, metavar="DIR", help="lines without labels")
    parser.add_argument("--fold", type=int, default=0, help="that the members held out")
    parser.add_argument("--source", default="kalapa", help="only its lines")
    parser.add_argument("--ensemble", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--count", type=int, default=100, help="lines")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--avx2", action="store_true", help="hold every contestant to AVX2 (needs gcc and binutils)")
    parser.add_argument("--rapidocr", default="", metavar="FILE.onnx", help="rapidocr's network instead of its own")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="contestants whose names begin so")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="also write the figures")
    args = parser.parse_args()
    from netchu.reading.recipe import read_recipe

    paths, labels = choose_lines(args)
    step = max(1, len(paths) // max(1, args.count))
    paths, labels = paths[::step][: args.count], labels[::step][: args.count]
    install_peers(*PACKAGES)
    settings = read_recipe(args.ensemble).settings
    kinds = [f"netchu {what}, {how}" for what in ("member", "ensemble") for how in ("greedy", "full")]
    kinds += [f"netchu ensemble, {ALL_ASKED}"] if min(settings.clear, settings.sure) < 1 else []
    names = [*kinds, "asterocr", "rapidocr", *(["tesseract"] if shutil.which("tesseract") else []),
             "vietocr seq2seq", "vietocr transformer"]  # fmt: skip
    names = [name for name in names if name.startswith(tuple(args.only))]
    if not names:
        raise NetchuError(f"--only {' '.join(args.only)}: no contestant's name begins so")
    figures: dict[str, dict[str, Any]] = {}
    images = [str(path.resolve()) for path in paths]
    print(f"{len(paths)} lines, {args.threads} threads{', AVX2' if args.avx2 else ''}")
    widths = {title: int(form.partition(".")[0]) for title, (*_, form) in (COLUMNS | SCORES).items()}
    print(f"{'':26}" + "".join(f"{title:>{width}}" for title, width in widths.items()))
    for name in names:
        try:
            row = run(Job(name, str(args.ensemble), images, args.threads, args.rapidocr, args.avx2))
        except NetchuError as error:
            print(f"{name:26}could not run: {error}", flush=True)
            continue
        texts = row.pop("texts")
        scores = score(texts, labels).to_dict() if texts and labels else {}
        figures[name] = {**row, "scores": scores}
        cells = [(row[key], form) for key, form in COLUMNS.values()]
        cells += [(factor * scores[key] if scores else None, form) for factor, key, form in SCORES.values()]
        shown = zip(cells, widths.values(), strict=True)
        print(
            f"{name:26}" + "".join(f"{'-':>{w}}" if v is None else f"{v:{form}}" for (v, form), w in shown), flush=True
        )
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] in (["--contestant"], ["--first"]):
        order = Job(**json.load(sys.stdin))
        if sys.argv[1] == "--first":
            print("\n" + str(build(order).one([read_image(Path(order.paths[0]))])))
        else:
            print("\n" + json.dumps(measure(order)))
    else:
        run_main(main)

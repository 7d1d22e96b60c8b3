"""How fast lines are made, what a line costs at each height, and whether memory stays flat.

`python -m benchmarks.synthesis [--lines 2000] [--memory-lines 20000]`. Needs no data. All effects are on; the
figure for files counts everything from the start of the script's processes to the finished labels.tsv.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.rates import memory_mb
from netchu.synthesis.address_lines import AddressLines
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import packaged_gazetteer
from netchu.synthesis.batches import Order, produce
from netchu.synthesis.fonts import find_fonts
from netchu.synthesis.renderer import Renderer

HEIGHTS = (32, 48, 64, 96, 128)
TARGET = 150.0
WARM_UP = 1000  # lines until nearly every letter of every face was traced


def make_files(lines: int, jobs: int) -> float:
    """Lines a second at 64 px, files and start of the processes included."""
    recipe = AddressLines(tuple(map(str, find_fonts())), writers=1000, height=64, effects="full", seed=0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        produce(recipe, Order(Path(folder) / "lines", lines, jobs))
        return lines / (time.perf_counter() - start)


def time_heights(lines: int) -> dict[int, float]:
    """CPU milliseconds a line, drawing and JPEG, for each height, after a warm-up; other load does not count."""
    grammar = AddressGrammar(packaged_gazetteer())
    rng = np.random.default_rng(0)
    texts = [grammar.sample(rng) for _ in range(lines)]
    found = {}
    for height in HEIGHTS:
        renderer = Renderer(find_fonts(), height)
        for index in range(WARM_UP):
            renderer.render(texts[index % lines], np.random.default_rng([1, index]))
        start = time.process_time()
        for index, text in enumerate(texts):
            cv2.imencode(".jpg", renderer.render(text, np.random.default_rng([2, index])))
        found[height] = 1000 * (time.process_time() - start) / lines
    return found


def watch_memory(lines: int) -> list[tuple[int, float]]:
    """(lines made, MB in use) ten times along `lines` lines in one process."""
    renderer, grammar = Renderer(find_fonts()), AddressGrammar(packaged_gazetteer())
    marks = []
    for index in range(lines):
        rng = np.random.default_rng([3, index])
        renderer.render(grammar.sample(rng), rng)
        if (index + 1) % max(1, lines // 10) == 0:
            marks.append((index + 1, memory_mb()))
    return marks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lines", type=int, default=2000, help="lines for the files figure")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--memory-lines", type=int, default=20000, help="lines for the memory figure; 0 leaves it out")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"load before the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    speed = make_files(arguments.lines, arguments.jobs)
    print(f"64 px, all effects, {arguments.jobs} jobs, with files: {speed:.0f} lines/s ({speed / TARGET:.2f} x target)")
    costs = time_heights(200)
    for height, cost in costs.items():
        print(f"{height:4d} px: {cost:6.2f} ms of one core a line ({cost / costs[64]:.2f} x 64 px)")
    if arguments.memory_lines:
        marks = watch_memory(arguments.memory_lines)
        for count, used in marks:
            print(f"{count:7d} lines: {used:6.0f} MB")
        print(f"growth over the last half: {marks[-1][1] - marks[len(marks) // 2][1]:+.1f} MB")


if __name__ == "__main__":
    main()

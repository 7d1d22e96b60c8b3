"""The service under load: python -m benchmarks.service --ensemble FILE [--images DIR].

Starts `netchu serve` on this machine and asks it, one after another (`--only` picks):

- overload: finds the capacity with a few patient clients, then sends twice that rate for a minute whether answers come
  or not, with a hot swap to another version in the middle. Prints how many were answered, turned away, or lost.
- widths: thousands of lines of 120 to 2,400 pixels' width, cut from the images laid end to end; the memory must be flat
  after the first 200. Without images they are striped, and every member is asked about each.
- attack: 20 clients for a minute, while 500 connections send a header drop by drop and come again when they are closed.
"""

import argparse
import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import httpx2
import numpy as np

from benchmarks.rates import memory_mb
from netchu.core.errors import NetchuError, run_main
from netchu.core.image_files import find_images
from netchu.core.images import Image, decode
from netchu.reading.recipe import Recipe, plain_recipe, read_recipe
from netchu.serve.store import Store
from netchu.serve.versions import Versions

PATIENT = 8  # clients that wait for each answer while the capacity is measured
WIDTHS = (120, 2400)  # pixels
SETTLED = 200  # requests after which the memory must be flat
PARTS = ("overload", "widths", "attack")
CLIENTS, ATTACKERS = 20, 500
SAMPLE = 1.0  # seconds between two looks at the memory


def read_files(folder: Path | None, most: int = 300) -> list[bytes]:
    """Image files of a folder; without one, lines of noise of common widths."""
    if folder is None:
        rng = np.random.default_rng(0)
        shapes = [(48, int(width)) for width in rng.integers(300, 1000, most)]
        return [bytes(cv2.imencode(".png", rng.integers(0, 255, shape, dtype=np.uint8))[1]) for shape in shapes]
    paths = find_images(folder)
    return [path.read_bytes() for path in random.Random(0).sample(paths, min(most, len(paths)))]


class Load:
    """Requests to one service and what became of them."""

    def __init__(self, client: httpx2.AsyncClient, files: list[bytes], lines: int) -> None:
        self.client, self.files, self.lines = client, files, lines
        self.sent = 0
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []  # of answered requests
        self.versions: Counter[int] = Counter()

    async def send(self) -> None:
        """One request of `lines` lines; every outcome is counted."""
        chosen = [self.files[(self.sent * self.lines + i) % len(self.files)] for i in range(self.lines)]
        self.sent += 1
        began = time.perf_counter()
        try:
            answer = await self.client.post("/api/recognise", files=[("images", ("line", data)) for data in chosen])
        except httpx2.HTTPError as error:
            self.statuses[type(error).__name__] += 1
            return
        self.statuses[str(answer.status_code)] += 1
        if answer.status_code == 200:
            self.seconds.append(time.perf_counter() - began)
            self.versions[answer.json()["version"]] += 1


async def measure_capacity(load: Load, seconds: float) -> float:
    """Requests a second that patient clients get answered."""
    until = time.perf_counter() + seconds

    async def patient() -> None:
        while time.perf_counter() < until:
            await load.send()

    began = time.perf_counter()
    await asyncio.gather(*(patient() for _ in range(PATIENT)))
    return load.statuses["200"] / (time.perf_counter() - began)


async def offer(load: Load, rate: float, seconds: float) -> None:
    """Send at a fixed rate, whether answers come or not; wait for all of them at the end."""
    began, open_requests = time.perf_counter(), set()
    while (elapsed := time.perf_counter() - began) < seconds:
        for _ in range(int(elapsed * rate) - load.sent):
            task = asyncio.create_task(load.send())
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
        await asyncio.sleep(0.005)
    await asyncio.gather(*open_requests)


async def watch(process: int, memory: list[float]) -> None:
    """Note the memory again and again."""
    while True:
        memory.append(memory_mb(process))
        await asyncio.sleep(SAMPLE)


def register_two(data: Path, recipe: Recipe) -> None:
    """Versions 1 and 2 of a service's folder, of the same cost; 1 is to serve first."""
    store = Store(f"sqlite:///{data}/service.sqlite")
    versions = Versions(data / "versions", store)
    versions.note_promotion(versions.register(recipe).id)
    versions.register(replace(recipe, settings=replace(recipe.settings, shortest=recipe.settings.shortest + 1)))
    store.close()


def as_wide(picture: Image, width: int) -> Image:
    """A line image 64 pixels high, repeated and cut to the width: (h, w) -> (64, width)."""
    line = cv2.resize(picture, (max(1, round(picture.shape[1] * 64 / len(picture))), 64), interpolation=cv2.INTER_AREA)
    return np.tile(line, -(-width // line.shape[1]))[:, :width].astype(np.uint8)


async def measure_widths(url: str, process: int, args: argparse.Namespace) -> None:
    """Lines of many widths one after another, from a few clients, and the memory beside them."""
    rng = np.random.default_rng(0)
    widths = [int(width) for width in rng.integers(*WIDTHS, args.requests, endpoint=True)]
    memory: list[float] = []
    waiting = iter(widths)
    striped = np.full((64, WIDTHS[1]), 230, np.uint8)
    striped[20:44, 10:-10:7] = 40
    pictures = [decode(data, "image")[0] for data in read_files(args.images)] if args.images else [striped]

    async def ask(client: httpx2.AsyncClient) -> None:
        for width in waiting:
            image = as_wide(pictures[width % len(pictures)], width)
            data = bytes(cv2.imencode(".png", image)[1])
            while (answer := await client.post("/api/recognise", files=[("images", ("l", data))])).status_code == 503:
                await asyncio.sleep(1)
            answer.raise_for_status()
            memory.append(memory_mb(process))

    began = time.perf_counter()
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.gather(*(ask(client) for _ in range(PATIENT)))
    seconds = time.perf_counter() - began
    first, rest = memory[:SETTLED], memory[SETTLED:] or memory
    parts = ", ".join(f"{np.mean(part):.0f}" for part in np.array_split(rest, 5))
    print(
        f"{len(memory)} requests of {WIDTHS[0]} to {WIDTHS[1]} pixels in {seconds:.0f} s: {len(memory) / seconds:.1f}/s"
    )
    print(f"memory in MB after {len(first)} requests: {first[-1]:.0f}; mean of each later fifth: {parts}")


async def measure_attack(url: str, args: argparse.Namespace) -> None:
    """Patient clients, while connections with half-sent headers hold on as long as they can."""
    host, port = url.removeprefix("http://").split(":")
    until, closed = time.perf_counter() + args.seconds, 0

    async def hang() -> None:
        nonlocal closed
        while time.perf_counter() < until:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ")
                while time.perf_counter() < until and not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(1)
                writer.close()
            except OSError:
                pass
            closed += 1
            await asyncio.sleep(0.2)

    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        load = Load(client, read_files(args.images), 1)

        async def patient() -> None:
            while time.perf_counter() < until:
                await load.send()

        attackers = [asyncio.create_task(hang()) for _ in range(ATTACKERS)]
        await asyncio.gather(*(patient() for _ in range(CLIENTS)))
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
    half, p99 = np.percentile(load.seconds, (50, 99)) if load.seconds else (np.nan, np.nan)
    print(
        f"{CLIENTS} clients for {args.seconds:g} s beside {ATTACKERS} half-sent headers ({closed} were closed and came "
        f"again): {dict(load.statuses)}; answered in {half:.2f} s (median), {p99:.2f} s (99 %)"
    )


async def run(url: str, process: int, args: argparse.Namespace) -> None:
    """Measure and print."""
    if "widths" in args.only:
        await measure_widths(url, process, args)
    if "attack" in args.only:
        await measure_attack(url, args)
    if "overload" in args.only:
        await measure_overload(url, process, args)


async def measure_overload(url: str, process: int, args: argparse.Namespace) -> None:
    """Twice the capacity, with a hot swap in the middle."""
    files = read_files(args.images)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=400)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        await measure_capacity(Load(client, files, args.lines), 3)
        capacity = await measure_capacity(Load(client, files, args.lines), args.seconds / 4)
        print(
            f"capacity: {capacity * args.lines:.1f} lines/s ({PATIENT} clients that wait, {args.lines} lines a request)"
        )
        load = Load(client, files, args.lines)
        memory: list[float] = []
        watching = asyncio.create_task(watch(process, memory))
        offering = asyncio.create_task(offer(load, 2 * capacity, args.seconds))
        await asyncio.sleep(args.seconds / 2)
        began = time.perf_counter()
        swap = await client.post("/api/models/2/promote")
        print(f"hot swap in the middle: status {swap.status_code}, {time.perf_counter() - began:.2f} s")
        await offering
        watching.cancel()
    answered, refused = load.statuses.pop("200", 0), load.statuses.pop("503", 0)
    half, p99 = np.percentile(load.seconds, (50, 99))
    print(
        f"offered {2 * capacity * args.lines:.1f} lines/s for {args.seconds:g} s: {load.sent} requests, "
        f"{answered} answered ({answered * args.lines / args.seconds:.1f} lines/s), {refused} turned away with 503, "
        f"other: {dict(load.statuses) or 'none'}, lost: {load.sent - answered - refused - load.statuses.total()}"
    )
    print(f"answered in {half:.2f} s (median), {p99:.2f} s (99 %); by version: {dict(load.versions)}")
    quarters = ", ".join(f"{np.mean(part):.0f}" for part in np.array_split(memory, 4))
    print(f"memory of the service in MB, mean of each quarter: {quarters}; at most {max(memory):.0f}")


def main() -> None:
    """Start the service, load it, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--ensemble", type=Path, metavar="FILE", help="recipe")
    model.add_argument("--bundles", type=Path, nargs="+", metavar="FILE", help="members, read greedily")
    parser.add_argument("--images", type=Path, metavar="DIR", help="line images; without it, noise")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--requests", type=int, default=5000, help="of `widths`")
    parser.add_argument("--lines", type=int, default=4, help="a request")
    parser.add_argument("--threads", type=int, default=0, help="of the service")
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "netchu", "serve", "--port", str(port), "--data", data]
        command += ["--threads", str(args.threads)]
        register_two(Path(data), read_recipe(args.ensemble) if args.ensemble else plain_recipe(args.bundles))
        service = subprocess.Popen(command, env={**os.environ, "NETCHU_TOKEN": ""})
        try:
            while service.poll() is None:
                try:
                    httpx2.get(f"{url}/healthz")
                    break
                except httpx2.TransportError:
                    time.sleep(0.2)
            if service.poll() is not None:
                raise NetchuError("the service did not start; its message stands above")
            asyncio.run(run(url, service.pid, args))
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    run_main(main)

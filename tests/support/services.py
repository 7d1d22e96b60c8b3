"""A service in a process of its own.

Services are forked from a server process that has imported everything once, so that a restart takes no time.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import uvicorn

from netchu.core.images import read_image
from netchu.reading.recipe import Recipe, read_recipe
from netchu.serve.command import build, parse
from netchu.serve.connections import server_options
from netchu.serve.uploads import encode_png
from tests.support.commands import CONTEXT
from tests.support.tiny import TEXTS

RATE = 3e-3  # learning rate of a retraining that has no time for gentle ones


def run_service(socket_: socket.socket, arguments: list[str]) -> None:
    """Serve on a listening socket until a signal comes."""
    server = uvicorn.Server(uvicorn.Config(build(parse(arguments)), **server_options()))
    server.run(sockets=[socket_])


class Running:
    """A service in a process of its own, on a free port of this machine."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.arguments = ["--data", str(data), "--threads", "1", "--retrain-threads", "1"]
        self.arguments += ["--least-held-out", "1", *arguments]
        self.start()

    def start(self) -> None:
        """Start the service and wait until it reads."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.process = CONTEXT.Process(target=run_service, args=(listening, self.arguments))
        self.process.start()
        listening.close()
        self.client = httpx2.Client(base_url=self.url, timeout=60)
        wait_for(lambda: self.is_up(), 300)

    def is_up(self) -> bool:
        assert self.process.is_alive(), "the service did not start"
        try:
            return bool(self.client.get("/healthz").status_code == 200)
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()
        self.client.close()

    def stop(self) -> None:
        """The way a service manager ends it."""
        self.process.terminate()
        self.process.join(60)
        assert self.process.exitcode is not None
        self.client.close()

    def job(self, key: int = 1) -> dict[str, Any]:
        return dict(self.client.get(f"/api/retrain/{key}").json())

    def recipe(self, version: dict[str, Any]) -> Recipe:
        """What a version, as /api/models tells of it, reads with."""
        return read_recipe(self.data / "versions" / f"{version['digest'][:16]}.json")

    def correct(self, image: bytes, text: str, read_text: str = "") -> httpx2.Response:
        return self.client.post(
            "/api/corrections", files={"image": ("a.png", image)}, data={"text": text, "read_text": read_text}
        )


def wait_for(ready: Callable[[], Any], seconds: float = 180) -> None:
    """Look again and again; fails after some seconds."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def noise(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 255, (32, 64), dtype=np.uint8))


def send_corrections(service: Running, lines_folder: Path) -> int:
    """Correct four lines, in six pictures each that differ by a point; returns how many pictures."""
    for copy in range(6):
        for number, text in enumerate(TEXTS[:4]):
            image = read_image(lines_folder / "images" / "0" / f"{number}.jpg").copy()
            image[copy, 0] ^= 1
            assert service.correct(encode_png(image), text).status_code == 201
    return 24

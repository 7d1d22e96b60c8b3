"""A service in a process of its own.

Services are forked from a server process that has imported everything once, so that a restart takes no time.
"""

import multiprocessing
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from netchu.reading.recipe import Recipe, read_recipe
from netchu.serve.command import build, parse

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["netchu.serve.api", "netchu.serve.request_guard", "netchu.serve.service", "tests.support.services"]
)


def run_service(socket_: socket.socket, arguments: list[str]) -> None:
    """Serve on a listening socket until a signal comes."""
    server = uvicorn.Server(uvicorn.Config(build(parse(arguments)), log_level="error", loop="asyncio", http="h11"))
    server.run(sockets=[socket_])


class Running:
    """A service in a process of its own, on a free port of this machine."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data, self.arguments = data, ["--data", str(data), "--threads", "1", "--retrain-threads", "1", *arguments]
        self.start()

    def start(self) -> None:
        """Start the service and wait until it reads."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.process = CONTEXT.Process(target=run_service, args=(listening, self.arguments))
        self.process.start()
        listening.close()
        self.client = httpx2.Client(base_url=self.url, timeout=60)
        wait_for(lambda: self.is_up(), 60)

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


def wait_for(ready: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)

"""Connections of strangers: half-sent headers shut nobody out, and none waits for ever."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import uvicorn

from netchu.serve.connections import BoundedProtocol, server_options

HEADER = b"GET / HTTP/1.1\r\nhost: localhost\r\n"


class Small(BoundedProtocol):
    """A service with few places and little patience."""

    most = 8
    header_seconds = 1.0


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    """Answers every request."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port() -> Iterator[int]:
    options = {**server_options(), "http": Small, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **options))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(sent)
    return made


def answer_of(connection: socket.socket) -> bytes:
    """One whole answer; head and body may arrive apart."""
    connection.sendall(HEADER + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nok") and (part := connection.recv(1000)):
        answer += part
    return answer


def test_half_sent_headers_shut_nobody_out(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connect(port, HEADER))
        began = time.monotonic()
        with connect(port) as good:
            assert answer_of(good).startswith(b"HTTP/1.1 200")
            assert answer_of(good).startswith(b"HTTP/1.1 200"), "one connection for several requests"
        assert time.monotonic() - began < 1.0


def test_a_header_has_its_time(port: int) -> None:
    """Byte by byte, from the start and after an answered request."""
    for first in (b"", HEADER + b"\r\n"):
        with connect(port, first) as slow:
            if first:
                assert slow.recv(1000).startswith(b"HTTP/1.1 200")
            began = time.monotonic()
            with pytest.raises(OSError):
                for _ in range(40):
                    slow.sendall(b"a")
                    time.sleep(0.1)
                    if time.monotonic() - began > 1.5 and slow.recv(10) == b"":
                        raise ConnectionResetError
            assert time.monotonic() - began < 4


def test_a_huge_header_is_refused(port: int) -> None:
    with connect(port, HEADER + b"x: " + b"y" * 100_000) as large, suppress(ConnectionResetError):
        assert large.recv(1000).startswith(b"HTTP/1.1 400")


def test_what_is_no_http_is_refused_in_words(port: int) -> None:
    with connect(port, b"no such thing\r\n\r\n") as strange:
        answer = b"".join(iter(lambda: strange.recv(1000), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") and b"application/json" in head
    assert json.loads(body) == {
        "error": "the request cannot be read (Invalid HTTP request received)",
        "code": "malformed",
    }

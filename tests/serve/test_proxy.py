"""deploy/nginx.conf in front of a service: TLS, half-sent headers, a body that is too large.

Skips where nginx or openssl is not installed.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.support.services import Running, noise, wait_for
from tests.support.tiny import ROOT

NGINX, OPENSSL = shutil.which("nginx"), shutil.which("openssl")
TOKEN = "letters of a token"

pytestmark = pytest.mark.skipif(not (NGINX and OPENSSL), reason="no nginx with openssl on this machine")


@pytest.fixture
def proxy(tmp_path: Path, tiny_bundle: Path) -> Iterator[str]:
    """Address of nginx with the repository's file, on a free port, before a service that has a token."""
    assert NGINX and OPENSSL
    token = tmp_path / "token"
    token.write_text(TOKEN, encoding="utf-8")
    options = ["--bundles", str(tiny_bundle), "--host", "0.0.0.0", "--token-file", str(token)]
    service = Running(tmp_path / "service", *options)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key, certificate, conf = (tmp_path / name for name in ("key.pem", "certificate.pem", "nginx.conf"))
    made = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost", "-days", "1", "-nodes"]
    subprocess.run([OPENSSL, "req", "-x509", "-newkey", "rsa:2048", *made], check=True, capture_output=True)
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for said, here in (
        ("worker_processes auto;", f"worker_processes 1; daemon off; pid {tmp_path}/nginx.pid; error_log stderr;"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl; access_log off;"),
        ("/etc/ssl/certs/reader.example.pem", str(certificate)),
        ("/etc/ssl/private/reader.example.key", str(key)),
        ("server 127.0.0.1:8000 ", f"server {service.url.removeprefix('http://')} "),
    ):
        assert said in text
        text = text.replace(said, here)
    conf.write_text(text, encoding="utf-8")
    nginx = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(tmp_path)])
    try:
        wait_for(lambda: is_open(port), 20)
        yield f"https://127.0.0.1:{port}"
    finally:
        nginx.terminate()
        nginx.wait(20)
        service.stop()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_it_serves_and_half_sent_headers_shut_nobody_out(proxy: str) -> None:
    port = int(proxy.rpartition(":")[2])
    with httpx2.Client(base_url=proxy, verify=False, timeout=30) as client, ExitStack() as stack:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        assert "nét chữ" in client.get("/").text
        headers = {"origin": proxy}  # as a browser sends it
        answer = client.post("/api/recognise", files=[("images", noise(1))], headers=headers)
        assert answer.status_code == 200, answer.text
        saved = client.post("/api/corrections", files={"image": noise(1)}, data={"text": "Huế"}, headers=headers)
        assert saved.status_code == 201, saved.text
        assert client.get("/metrics").status_code == 200
        assert client.post("/api/recognise", content=b"x" * 65_000_000).status_code == 413
        for _ in range(300):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"\x16\x03\x01")  # the beginning of a TLS greeting
        began = time.monotonic()
        with httpx2.Client(base_url=proxy, verify=False, timeout=30) as other:
            assert other.get("/healthz").status_code == 200
        assert time.monotonic() - began < 5

"""Reading a folder: several processes give the same file as one, details hold what was promised."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from netchu.core.errors import NetchuError
from netchu.ctc.decoders import Reading
from netchu.model.bundle import load_bundle
from netchu.reading.ensemble import Ensemble
from netchu.reading.submission import Answer, read_folder, write_details
from tests.support.tiny import ROOT


def command(images: Path, bundle: Path, out: Path) -> list[str]:
    words = ["--images", images, "--bundles", bundle, "--out", out, "--precision", "fp32", "--threads", 1]
    return [sys.executable, str(ROOT / "infer.py"), *map(str, words)]


def answers_in(path: Path) -> list[str]:
    """id,answer of each row; the times differ."""
    return [row.rsplit(",", 1)[0] for row in path.read_text(encoding="utf-8").splitlines()]


def test_two_processes_write_what_one_writes(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    images = lines_folder / "images"
    subprocess.run(command(images, bundle, tmp_path / "one.csv"), check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "ACCELERATE_USE_CPU": "1",
    }
    started = [
        subprocess.Popen(
            command(images, bundle, tmp_path / "two.csv"),
            env={**world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=300)[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert answers_in(tmp_path / "two.csv") == answers_in(tmp_path / "one.csv")
    assert "48 lines in" in said[0] and "48 lines in" not in said[1]


def test_chunks_do_not_show(bundle: Path, lines_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = Ensemble([load_bundle(bundle)], precision="fp32")
    whole = read_folder(lines_folder / "images", ensemble)
    monkeypatch.setattr("netchu.reading.submission.CHUNK", 7)
    again = read_folder(lines_folder / "images", ensemble)
    assert [(a.id, a.text) for a in again] == [(a.id, a.text) for a in whole]
    assert len(whole) == 48


def test_strict_stops_at_a_bad_image_of_a_later_chunk(
    bundle: Path, lines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes((lines_folder / "images" / "0" / "0.jpg").read_bytes())
    (tmp_path / "b.jpg").write_bytes(b"no image")
    monkeypatch.setattr("netchu.reading.submission.CHUNK", 1)
    ensemble = Ensemble([load_bundle(bundle)])
    assert [bool(a.problem) for a in read_folder(tmp_path, ensemble)] == [False, True]
    with pytest.raises(NetchuError, match=r"b\.jpg"):
        read_folder(tmp_path, ensemble, strict=True)


def test_details(tmp_path: Path) -> None:
    sure = Answer("1/0.jpg", Reading("Huế", 0.97, (0.99, 0.98, 0.97), (("Hue", 0.02),)), 0.1)
    lost = Answer("1/1.jpg", Reading("", 0.0), 0.0, "is not an image")
    write_details(tmp_path / "d.jsonl", [sure, lost], accept=0.9)
    one, two = (json.loads(row) for row in (tmp_path / "d.jsonl").read_text(encoding="utf-8").splitlines())
    assert one["accept"] and not two["accept"] and two["problem"] == "is not an image"
    assert one["characters"] == [["H", 0.99], ["u", 0.98], ["ế", 0.97]] and one["alternatives"] == [["Hue", 0.02]]
    write_details(tmp_path / "d.jsonl", [sure], accept=None)
    assert json.loads((tmp_path / "d.jsonl").read_text(encoding="utf-8"))["accept"] is None

"""Reading a folder: several processes give the same file as one, details hold what was promised."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import weakref
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.core.errors import NetchuError
from netchu.ctc.decoders import Reading
from netchu.reading.ensemble import Ensemble
from netchu.reading.kept_answers import Answer, KeptAnswers, fingerprint
from netchu.reading.recipe import plain_recipe
from netchu.reading.submission import read_folder, write_details
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
    ensemble = Ensemble.from_recipe(plain_recipe([bundle]), precision="fp32")
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
    (tmp_path / "c.jpg").symlink_to(tmp_path / "gone.jpg")
    monkeypatch.setattr("netchu.reading.submission.CHUNK", 1)
    ensemble = Ensemble.from_recipe(plain_recipe([bundle]))
    problems = [a.problem for a in read_folder(tmp_path, ensemble)]
    assert [bool(problem) for problem in problems] == [False, True, True]
    assert problems[2] == f"{tmp_path}/c.jpg: image cannot be read (No such file or directory)"
    (tmp_path / "c.jpg").unlink()  # of two bad ones either may be met first
    with pytest.raises(NetchuError, match=r"b\.jpg"):
        read_folder(tmp_path, ensemble, strict=True)
    kept = KeptAnswers(tmp_path / "s.kept", {}, resume=False, restart=False)
    kept.add([Answer("b.jpg", Reading("", 0.0), 0.0, "b.jpg: is not an image")])
    kept.close(whole=False)
    kept = KeptAnswers(tmp_path / "s.kept", {}, resume=True, restart=False)
    with pytest.raises(NetchuError, match=r"b\.jpg"):
        read_folder(tmp_path, ensemble, strict=True, kept=kept)
    kept.close(whole=False)
    kept = KeptAnswers(tmp_path / "s.kept", {}, resume=True, restart=False)
    (tmp_path / "b.jpg").write_bytes((lines_folder / "images" / "0" / "0.jpg").read_bytes())
    again = read_folder(tmp_path, ensemble, kept=kept)
    assert again[1].text == again[0].text and not again[1].problem, "what can be read by now is"
    kept.close(whole=True)


def test_details(tmp_path: Path) -> None:
    sure = Answer("1/0.jpg", Reading("Huế", 0.97, (0.99, 0.98, 0.97), (("Hue", 0.02),), accept=True), 0.1)
    lost = Answer("1/1.jpg", Reading("", 0.0, accept=False), 0.0, "is not an image")
    write_details(tmp_path / "d.jsonl", [sure, lost])
    one, two = (json.loads(row) for row in (tmp_path / "d.jsonl").read_text(encoding="utf-8").splitlines())
    assert one["accept"] and not two["accept"] and two["problem"] == "is not an image"
    assert one["characters"] == [["H", 0.99], ["u", 0.98], ["ế", 0.97]] and one["alternatives"] == [["Hue", 0.02]]
    write_details(tmp_path / "d.jsonl", [replace(sure, reading=Reading("Huế", 0.97))])
    assert json.loads((tmp_path / "d.jsonl").read_text(encoding="utf-8"))["accept"] is None


def test_an_interrupted_run_goes_on_with_the_same_answers(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    """Killed in the middle of reading; what was read is not read again, and the file is what one run writes."""
    images, out = tmp_path / "images", tmp_path / "s.csv"
    shutil.copytree(lines_folder / "images", images)
    subprocess.run(command(images, bundle, tmp_path / "whole.csv"), check=True, capture_output=True)
    slow = """
import sys, time
from netchu.reading import submission
read = submission._read_chunk
submission._read_chunk = lambda *rest: (time.sleep(0.2), read(*rest))[1]
submission.CHUNK = 4
from netchu.commands.infer import main
main()
"""
    kept, words = tmp_path / "s.csv.kept", command(images, bundle, out)[2:]
    process = subprocess.Popen([sys.executable, "-c", slow, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and (not kept.is_file() or len(kept.read_bytes().splitlines()) < 10):
        time.sleep(0.02)
    process.kill()
    process.wait()
    rows = len(kept.read_bytes().splitlines())
    assert 10 <= rows < 49 and not out.exists()
    with kept.open("ab") as stream:
        stream.write(b'{"id": "cut')  # a row that was being written

    refused = subprocess.run(command(images, bundle, out), capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "go on with --resume, or discard with --restart" in refused.stderr
    resumed = [*command(images, bundle, out), "--resume"]
    done = subprocess.run(resumed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert answers_in(out) == answers_in(tmp_path / "whole.csv") and not kept.exists()
    assert f"{rows - 1}/48" in done.stderr, "the bar begins at what was kept"


def test_answers_of_other_images_or_models_are_not_taken(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    images = sorted(lines_folder.glob("images/0/*.jpg"))
    answer = Answer("0/0.jpg", Reading("Huế", 1 / 3, (0.9, 0.8, 0.7), (("Hue", 0.1),), accept=True), 0.25, "")
    path, about = tmp_path / "s.csv.kept", fingerprint([bundle], {"decoder": "beam"}, images)
    kept = KeptAnswers(path, about, resume=False, restart=False)
    kept.add([answer])
    kept.close(whole=False)
    again = KeptAnswers(path, about, resume=True, restart=False)
    assert again.answers == [answer]
    again.close(whole=False)
    for changed, says in (
        (fingerprint([bundle, bundle], {"decoder": "beam"}, images), "other models"),
        (fingerprint([bundle], {"decoder": "greedy"}, images), "other settings"),
        (fingerprint([bundle], {"decoder": "beam"}, images[1:]), "other images"),
    ):
        with pytest.raises(NetchuError, match=f"of a run with {says}; discard it with --restart"):
            KeptAnswers(path, changed, resume=True, restart=False)
    assert KeptAnswers(path, about, resume=False, restart=True).answers == []
    path.write_text("no json\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=r"is damaged .* --restart"):
        KeptAnswers(path, about, resume=True, restart=False)


def test_a_run_that_keeps_nothing_leaves_nothing(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path / "s.kept", {}, resume=False, restart=False)
    kept.close(whole=False)
    assert list(tmp_path.iterdir()) == []


def test_details_that_cannot_be_written_lose_no_answer(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    words = command(lines_folder / "images" / "0", bundle, tmp_path / "s.csv")
    details = ["--details", str(tmp_path / f"{244 * 'd'}.jsonl")]  # no room for what a temporary name has more
    done = subprocess.run([*words, *details], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "d.jsonl: cannot be written" in done.stderr and "go on with --resume" in done.stdout
    details = ["--details", str(tmp_path / "d.jsonl"), "--resume"]
    assert subprocess.run([*words, *details], capture_output=True, check=False).returncode == 0
    assert (tmp_path / "d.jsonl").is_file() and not (tmp_path / "s.csv.kept").exists()


def test_one_image_file_is_read(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    image = lines_folder / "images" / "0" / "1.jpg"
    subprocess.run(command(image, bundle, tmp_path / "one.csv"), check=True, capture_output=True)
    subprocess.run(command(lines_folder / "images", bundle, tmp_path / "all.csv"), check=True, capture_output=True)
    whole = dict(row.split(",", 1) for row in answers_in(tmp_path / "all.csv"))
    assert answers_in(tmp_path / "one.csv") == ["id,answer", f"1.jpg,{whole['0/1.jpg']}"]


def test_full_images_are_not_held(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is reduced before a thread opens the next one."""
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def opened(path: Path, *, strict: bool = False) -> np.ndarray:
        nonlocal most
        image = np.random.default_rng(len(alive)).integers(0, 255, (400, 3000), dtype=np.uint8)
        alive.append(weakref.ref(image))
        most = max(most, sum(ref() is not None for ref in alive))
        return image

    monkeypatch.setattr("netchu.reading.submission.read_image", opened)
    for i in range(24):
        (tmp_path / f"{i}.jpg").write_bytes(b"x")
    answers = read_folder(tmp_path, Ensemble.from_recipe(plain_recipe([bundle])), workers=2)
    assert len(answers) == 24 and most <= 3


def test_answers_without_details_take_little_memory(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    """What is read, how surely, and what is kept for going on are the same."""
    recipe = plain_recipe([bundle], "beam")
    kept = KeptAnswers(tmp_path / "out.kept", {}, resume=False, restart=False)
    whole = read_folder(lines_folder / "images", Ensemble.from_recipe(recipe))
    brief = read_folder(lines_folder / "images", Ensemble.from_recipe(recipe), kept=kept, details=False)
    kept.close(whole=False)
    assert any(answer.reading.characters for answer in whole) and any(a.reading.alternatives for a in whole)
    assert [(a.id, a.text, a.confidence) for a in brief] == [(a.id, a.text, a.confidence) for a in whole]
    assert not any(answer.reading.characters or answer.reading.alternatives for answer in brief)
    resumed = KeptAnswers(tmp_path / "out.kept", {}, resume=True, restart=False)
    again = {a.id: a for a in resumed.answers}
    assert [again[answer.id].reading for answer in whole] == [answer.reading for answer in whole]
    read = read_folder(lines_folder / "images", Ensemble.from_recipe(recipe), kept=resumed, details=False)
    assert [a.reading for a in read] == [a.reading for a in brief] and not resumed.answers


def test_images_of_any_shape_keep_the_other_answers(bundle: Path, lines_folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"a": (1, 1), "b": (40, 30_000), "c": (30_000, 40), "d": (3, 60_000)}
    for name, shape in shapes.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), rng.integers(0, 255, shape, dtype=np.uint8))
    shutil.copy(lines_folder / "images" / "0" / "1.jpg", tmp_path / "e.jpg")
    (tmp_path / "f.png").write_bytes(huge_png(60_000, 60_000))
    ensemble = Ensemble.from_recipe(plain_recipe([bundle]), precision="fp32")
    answers = {a.id: a for a in read_folder(tmp_path, ensemble)}
    assert [name for name, a in answers.items() if a.problem] == ["c.png", "d.png", "f.png"]
    assert "40 x 30000 pixels, too narrow for a line" in answers["c.png"].problem
    assert "60000 x 3 pixels, too wide for a line" in answers["d.png"].problem
    assert all(a.text == "" and a.confidence == 0 for a in answers.values() if a.problem)
    assert answers["e.jpg"].text == read_folder(tmp_path / "e.jpg", ensemble)[0].text


def huge_png(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

"""The service as a process: a retraining from start to promotion, kill -9 at any moment, swaps under load."""

import json
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from netchu.core.errors import NetchuError, StoppedError
from netchu.core.files import file_lock, write_json
from netchu.core.images import read_image
from netchu.ctc.decoders import Reading
from netchu.data.manifest import Line, read_lines, split
from netchu.experiments.registry import Registry
from netchu.model.bundle import read_bundle, read_stored, write_bundle
from netchu.reading.engines import Member, open_member
from netchu.reading.line_reader import Settings
from netchu.reading.pages import Detector, find_lines, load_detector
from netchu.reading.recipe import Recipe, read_recipe, write_recipe
from netchu.serve.command import build, listen, open_service, parse
from netchu.serve.jobs import Jobs
from netchu.serve.retraining import (
    STOPPED,
    RetrainingPlan,
    choose_members,
    follow_corrections,
    keep_fold,
    new_threshold,
    put_corrections,
    read_progress,
    read_samples,
    replace_members,
    run_job,
)
from netchu.serve.samples import Samples
from netchu.serve.store import Job, Store
from netchu.serve.uploads import RefusalError, UploadLimits, decode_upload
from netchu.serve.versions import Versions, digest_of
from tests.support.forms import make_form
from tests.support.services import RATE, Running, noise, send_corrections, wait_for
from tests.support.tiny import ROOT, TEXTS

KILLS = int(os.environ.get("NETCHU_KILLS", "2"))  # of a retraining; each costs a start of Python
EPOCHS = 8
BUNDLE = "a bundle"  # in arguments, stands for one


@pytest.fixture
def service(tmp_path: Path, tiny_bundle: Path) -> Iterator[Running]:
    service = Running(tmp_path / "service", "--bundles", str(tiny_bundle))
    yield service
    if service.process.is_alive():
        service.stop()


def test_corrections_become_a_better_version(service: Running, lines_folder: Path, tiny_bundle: Path) -> None:
    """Correct, retrain, watch, read with the promoted version, roll back; a second job meanwhile is refused."""
    assert service.client.post("/api/retrain").status_code == 409
    count = send_corrections(service, lines_folder)
    begun = service.client.post("/api/retrain", json={"epochs": EPOCHS, "lr": RATE})
    assert begun.status_code == 202
    second = service.client.post("/api/retrain")
    assert (second.status_code, second.json()["error"]) == (409, "job 1: is at work; one job runs at a time")
    seen = []

    def over() -> bool:
        seen.append(service.job()["done"])
        return service.job()["state"] != "running"

    wait_for(over)
    job = service.job()
    assert (job["state"], job["message"], job["version"]) == ("done", "promoted", 2)
    assert seen == sorted(seen)
    assert [s["epoch"] for s in job["scores"]] == list(range(1, EPOCHS + 1))
    report = job["report"]
    assert (report["corrections"], report["lines"]["held_out"]) == (count, count // 5)
    assert report["after"]["all"]["cer"] < report["before"]["all"]["cer"]
    models = service.client.get("/api/models").json()
    assert [(m["id"], m["parent"], m["active"]) for m in models] == [(2, 1, True), (1, None, False)]
    _, old = read_bundle(tiny_bundle)
    _, new = read_bundle(service.recipe(models[0]).bundles[0])
    assert new["charset"] == old["charset"]
    assert not list((service.data / "jobs").glob("*/*/state.pt"))
    assert service.client.post("/api/models/1/promote").json() == {"version": 1}
    wait_for(lambda: not (service.data / "jobs" / "1" / "pictures").exists())
    manifest = read_lines(service.data / "jobs" / "1" / "manifest.csv")
    trained_on, held_out = split(manifest, 0)
    assert not {line.path for line in trained_on} & {line.path for line in held_out}


def test_one_member_of_a_recipe_learns(tmp_path: Path, lines_folder: Path, tiny_recipe: Path) -> None:
    """The one that weighs most is replaced, all else stays; a character new to the others waits for `--member all`."""
    service = Running(tmp_path / "service", "--ensemble", str(tiny_recipe))
    try:
        assert service.correct(noise(0), "1 €").status_code == 201
        count = send_corrections(service, lines_folder)
        service.client.post("/api/retrain", json={"epochs": EPOCHS, "lr": RATE})
        wait_for(lambda: service.job()["state"] != "running")
        job = service.job()
        assert (job["state"], job["message"], job["done"]) == ("done", "promoted", 1.0)
        report = job["report"]
        assert report["members"] == [2]
        assert report["left_out"] == {"lines": 1, "characters": "€"}
        assert (report["corrections"], report["before"]["all"]["lines"]) == (count, (count + 1) // 5)
        new, old = service.client.get("/api/models").json()
        assert (new["parent"], new["active"], new["members"]) == (1, True, 2)
        before, after = service.recipe(old), service.recipe(new)
        assert after.bundles[0] == before.bundles[0] and after.bundles[1] != before.bundles[1]
        assert (after.weights, after.settings) == (before.weights, before.settings)
        assert (after.language, after.places) == (before.language, before.places)
        assert after.accept is None or after.accept >= 0.25
        entries = Registry(service.data / "versions").entries()
        assert [entry.file for entry in entries] == [path.name for path in (*before.bundles, after.bundles[1])]
        assert entries[2].parent == entries[1].id
        assert entries[2].note.startswith("retraining 1 of version 1: CER ")
        for version in (1, 2):
            assert service.client.post(f"/api/models/{version}/promote").json() == {"version": version}
            answer = service.client.post("/api/recognise", files=[("images", noise(1))]).json()
            assert {line["version"] for line in answer["lines"]} == {version}
    finally:
        service.stop()


@pytest.fixture
def opened_with(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The `threads` of every member and detector that is opened from now on."""
    found: list[int] = []

    def record(path: Path, engine: str, threads: int) -> Member:
        found.append(threads)
        return open_member(path, engine, threads)

    def record_detector(threads: int) -> Detector:
        found.append(threads)
        return load_detector(threads)

    monkeypatch.setattr("netchu.reading.ensemble.open_member", record)
    monkeypatch.setattr("netchu.reading.pages.load_detector", record_detector)
    return found


def test_whatever_reads_takes_the_threads_that_the_service_was_given(
    tmp_path: Path, tiny_bundle: Path, opened_with: list[int]
) -> None:
    arguments = ["--bundles", str(tiny_bundle), "--data", str(tmp_path / "service"), "--threads", "1"]
    service = open_service(parse(arguments))
    started = len(opened_with)
    service.promote(service.active)
    promoted = len(opened_with)
    photo = bytes(cv2.imencode(".png", make_form("table", 1).photo)[1])
    with TestClient(build(parse(arguments), service), base_url="http://127.0.0.1:8000") as client:
        assert client.post("/api/recognise?page=true", files={"images": ("a.png", photo, "image/png")}).json()["lines"]
    assert 0 < started < promoted < len(opened_with)
    assert set(opened_with) == {1}


def test_all_members_learn_a_new_character_together(
    tmp_path: Path, lines_folder: Path, tiny_recipe: Path, opened_with: list[int]
) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.sqlite")
    samples = Samples(tmp_path / "samples", store)
    for number in range(6):
        samples.correct(read_image(lines_folder / "images" / "2" / f"{number}.jpg"), f"{TEXTS[number]} €")
    recipe = read_recipe(tiny_recipe)
    plan = RetrainingPlan(
        recipe=str(tiny_recipe), members=choose_members(recipe, "all"), samples=str(tmp_path / "samples")
    )
    job = tmp_path / "job"
    write_json(job / "job.json", asdict(replace(plan, epochs=1, threads=1)))
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError, match="stopped after member 1"):
        run_job(job, stop)
    assert not (job / "member1").exists(), "a stop that came too late for one member begins no other"
    report = run_job(job, threading.Event())
    assert set(opened_with) == {1}, "both recipes are compared with the plan's threads"
    assert (report["members"], report["left_out"]) == ([1, 2], {"lines": 0, "characters": ""})
    version = Versions(tmp_path / "versions", store).register(read_recipe(job / "ensemble.json"))
    new = Versions(tmp_path / "versions", store).load(version.id).ensemble
    assert [set(bundle.charset.characters) - set("".join(TEXTS)) for bundle in new.members] == [{"€"}] * 2
    assert read_progress(job)["done"] == 1.0
    store.close()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """A table of jobs over version 1, which serves; what is promoted goes to `promoted`."""
    store = Store(f"sqlite:///{tmp_path}/a.sqlite")
    jobs = Jobs(tmp_path / "jobs", store, Versions(tmp_path / "versions", store), lambda version: None, lambda: 1)
    yield jobs
    store.close()


@pytest.mark.parametrize(("serving", "enough", "promoted"), [(1, True, [7]), (2, True, []), (1, False, [])])
def test_a_version_is_promoted_over_the_one_that_it_was_compared_with(
    jobs: Jobs, serving: int, enough: bool, promoted: list[int], monkeypatch: pytest.MonkeyPatch, tiny_recipe: Path
) -> None:
    """A person may have put another version to service while the job was at work or interrupted."""
    done: list[int] = []
    jobs.promote, jobs.serving = done.append, lambda: serving
    monkeypatch.setattr(jobs.versions, "register", lambda recipe, **about: SimpleNamespace(id=7))
    job = Job(base=1)
    jobs.store.insert(job)
    write_recipe(jobs.folder / str(job.id) / "ensemble.json", read_recipe(tiny_recipe))
    scores = {"all": {"cer": 0.1}}
    jobs._finish(job, {"before": scores, "after": scores, "better": True, "enough": enough, "least": 30})
    row = jobs.get(job.id)
    assert (done, row.state, row.version) == (promoted, "done", 7)
    reason = "version 2 serves meanwhile" if enough else "under 30 held-out lines say too little, so a person decides"
    assert row.message.startswith("promoted" if promoted else f"not promoted: {reason}")
    assert row.report is not None and row.report["promoted"] == bool(promoted), "what the page tells"


def test_a_job_that_cannot_start_has_failed_and_blocks_none(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tiny_recipe: Path
) -> None:
    def popen(*args: Any, **options: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("netchu.serve.jobs.subprocess.Popen", popen)
    plan = RetrainingPlan(recipe=str(tiny_recipe), members=[0], samples="samples")
    for key in (1, 2):
        with pytest.raises(RefusalError, match=rf"job {key}: could not be started .*Cannot allocate memory"):
            jobs.start(1, plan)
        assert (jobs.get(key).state, jobs.running) == ("failed", 0)
    with pytest.raises(RefusalError, match="job 1: could not be started"):
        jobs.resume(1)


class TestJobsAtOneMoment:
    """What two people ask for at once, and processes that end when `ended` is set."""

    plan = RetrainingPlan(recipe="recipe", members=[0], samples="samples")

    @pytest.fixture(autouse=True)
    def ended(self, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
        ended = threading.Event()

        def wait() -> int:
            ended.wait(30)
            return STOPPED

        monkeypatch.setattr("netchu.serve.jobs.subprocess.Popen", lambda *a, **b: SimpleNamespace(wait=wait))
        return ended

    def test_one_ends_while_the_next_begins(
        self, jobs: Jobs, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def release() -> None:
            ended.clear()
            with suppress(RefusalError):
                jobs.start(1, self.plan)

        releases = [release]
        monkeypatch.setattr(jobs.store, "hold", lambda name: releases.pop() if releases else lambda: None)
        jobs.start(1, self.plan)
        ended.set()
        wait_for(lambda: jobs.get(1).state == "interrupted", 9)
        ended.set()
        wait_for(lambda: not jobs.running, 9)

    def test_one_is_cancelled_while_the_next_begins(
        self, jobs: Jobs, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs.store.insert(Job(base=1, state="interrupted"))
        other = threading.Thread(target=jobs.cancel, args=(1,))

        def clear_all() -> None:
            other.start()
            other.join(0.5)

        monkeypatch.setattr(jobs, "_clear_all", clear_all)
        jobs.start(1, self.plan)
        other.join()
        ended.set()
        wait_for(lambda: not jobs.running, 9)
        assert [job.state for job in jobs.store.jobs()] == ["interrupted", "cancelled"]

    def test_one_could_not_be_written_down(
        self, jobs: Jobs, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The lock of its process stays held, and is the next one's."""
        held: list[str] = []

        def hold(name: str) -> Any:
            if held:
                return None
            held.append(name)
            return held.clear

        def full(row: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(jobs.store, "hold", hold)
        with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
            patched.setattr(jobs.store, "insert", full)
            jobs.start(1, self.plan)
        jobs.start(1, self.plan)
        ended.set()
        wait_for(lambda: not (jobs.running or held), 9)


def test_what_a_job_held_goes_a_day_after_it_failed_and_stays_while_it_is_interrupted(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def popen(*args: Any, **options: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    def hold(state: str) -> tuple[Job, list[Path]]:
        job = Job(base=1, state=state)
        jobs.store.insert(job)
        paths = [jobs.folder / str(job.id) / name for name in ("pictures/a.png", "member0/state.pt", "manifest.csv")]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return job, paths

    failed, just_now = hold("running")
    jobs._close(failed, "failed", "the disk was full")
    assert all(path.exists() for path in just_now)
    monkeypatch.setattr("netchu.serve.jobs.subprocess.Popen", popen)
    job, paths = hold("interrupted")
    with pytest.raises(RefusalError, match="could not be started"):
        jobs.resume(job.id)
    assert jobs.get(job.id).state == "interrupted" and all(path.exists() for path in paths)
    _, left = hold("failed")  # at no known time: by an older version of the service
    again = Jobs(jobs.folder, jobs.store, jobs.versions, jobs.promote, jobs.serving)
    assert not any(path.exists() for path in left) and all(path.exists() for path in paths + just_now)
    again.close()


def test_every_job_that_was_running_is_marked(jobs: Jobs) -> None:
    for _ in range(25):
        jobs.store.insert(Job(base=1))
    jobs.store.mark_interrupted()
    assert {jobs.get(key).state for key in range(1, 26)} == {"interrupted"}


def test_a_correction_takes_the_place_of_the_base_line_that_it_is_of(tmp_path: Path, lines_folder: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.sqlite")
    samples = Samples(tmp_path / "samples", store)
    paths = [lines_folder / "images" / "1" / f"{number}.jpg" for number in range(4)]
    base = [Line(path, "old", "w", fold=fold, source="base") for fold, path in enumerate(paths)]
    padded = tmp_path / "padded.png"  # what is read of it begins behind the border
    cv2.imwrite(str(padded), np.pad(read_image(paths[2]), ((0, 0), (0, 400))))
    base[2] = replace(base[2], path=padded)
    for path in (paths[1], padded):
        samples.correct(decode_upload(path.read_bytes(), UploadLimits()), "new")
    kept, corrected = put_corrections(base, read_samples(samples.folder, 0))
    assert [line.path for line in kept] == [paths[0], paths[3]]
    assert [(line.text, line.fold) for line in corrected] == [("new", 1), ("new", 2)]
    store.close()


def test_a_line_that_is_deleted_while_all_are_looked_through_is_left_out(
    tmp_path: Path, lines_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.sqlite")
    samples = Samples(tmp_path / "samples", store)
    for number in range(3):
        samples.correct(read_image(lines_folder / "images" / "1" / f"{number}.jpg"), TEXTS[number])
    glob, deleted = Path.glob, store.samples()[1]

    def list_then_delete(folder: Path, pattern: str) -> list[Path]:
        paths = list(glob(folder, pattern))
        samples.picture(deleted.id).with_suffix(".json").unlink()
        return paths

    monkeypatch.setattr(Path, "glob", list_then_delete)
    assert [line.text for line in read_samples(samples.folder, 0)] == [TEXTS[0], TEXTS[2]]
    store.close()


def test_a_child_of_one_that_saw_every_line_has_seen_them_too(tmp_path: Path, tiny_bundle: Path) -> None:
    """Its base lines are trained on and judge nothing, and its bundle says fold 5."""
    tensors, about = read_stored(tiny_bundle)
    start, tuned = tmp_path / "start.safetensors", tmp_path / "tuned.safetensors"
    write_bundle(start, tensors, {**about, "config": {**about["config"], "fold": 5}})
    write_bundle(tuned, tensors, {**about, "config": {**about["config"], "fold": 0}})
    assert read_stored(keep_fold(tuned, start))[1]["config"]["fold"] == 5
    assert keep_fold(tuned, tuned) == tuned


@pytest.mark.parametrize(("wanted", "members"), [("", [1]), ("1", [0]), ("2", [1]), ("all", [0, 1])])
def test_the_member_that_learns(wanted: str, members: list[int], tiny_recipe: Path) -> None:
    assert choose_members(read_recipe(tiny_recipe), wanted) == members


def test_corrections_against_the_convention_end_it(tmp_path: Path) -> None:
    recipe = Recipe((tmp_path / "one",), (1.0,), Settings(convention="title"))
    kept = ["Tp Hà Nội", "12b Tổ 3, TP Huế"] * 5
    assert follow_corrections(recipe, [*kept, "TP Hà Nội"]) == recipe, "one may be a slip"
    assert follow_corrections(recipe, [*kept, "TP Huế", "p. 3 Huế"]).settings.convention == "none"


def test_a_bundle_that_reads_twice_learns_once(tmp_path: Path) -> None:
    one, two, new = (tmp_path / name for name in ("one", "two", "new"))
    recipe = Recipe((one, two, one), (0.3, 0.4, 0.3), Settings(), stretches=(1.0, 1.0, 1.15))
    assert choose_members(recipe, "") == [0], "its members weigh more together"
    assert choose_members(recipe, "all") == [0, 1]
    assert replace_members(recipe, {0: new}).bundles == (new, two, new)
    for path in (one, two):
        path.write_text(path.name)
    assert digest_of(recipe) != digest_of(replace(recipe, stretches=())), "it reads otherwise"


@pytest.mark.parametrize("wanted", ["0", "3", "-1", "one"])
def test_a_member_that_is_not_there(wanted: str, tiny_recipe: Path) -> None:
    with pytest.raises(NetchuError, match=f"--member {wanted}: expected a number from 1 to 2, or all"):
        choose_members(read_recipe(tiny_recipe), wanted)


@pytest.mark.parametrize(
    ("confidences", "right", "kept"),
    [
        ((0.99, 0.7, 0.3), (True, True, False), 0.9),  # what is sure is right: the old threshold stands
        ((0.99, 0.97, 0.95, 0.3), (True, True, False, True), 0.97),  # raised over a sure mistake
        ((0.99, 0.97), (False, True), None),  # the surest is wrong: no line is safe
    ],
)
def test_a_threshold_survives_retraining_only_as_far_as_held_out_lines_bear_it(
    confidences: tuple[float, ...], right: tuple[bool, ...], kept: float | None
) -> None:
    readings = [Reading("a", confidence) for confidence in confidences]
    labels = ["a" if good else "b" for good in right]
    assert new_threshold(0.9, readings, labels, 2) == kept
    assert new_threshold(0.9, readings, labels, 30) == 0.9, "so few lines say nothing"
    assert new_threshold(None, readings, labels, 2) is None


def test_a_lost_threshold_is_found_again_when_there_are_lines_enough() -> None:
    readings = [Reading("a", 1 - number / 1000) for number in range(120)]
    labels = ["a"] * 110 + ["b"] * 10
    found = new_threshold(None, readings, labels, 30)
    assert found == pytest.approx(0.89), "110 lines are right and 1 of 111 wrong, which is 99 %"


def test_a_worse_version_is_not_promoted(service: Running, lines_folder: Path) -> None:
    """A huge learning rate ruins it."""
    send_corrections(service, lines_folder)
    service.client.post("/api/retrain", json={"epochs": 1, "lr": 0.1})
    wait_for(lambda: service.job()["state"] != "running")
    worse = service.job()
    assert (worse["state"], worse["message"]) == ("done", "not promoted: worse on the held-out lines")
    assert worse["report"]["after"]["all"]["cer"] > worse["report"]["before"]["all"]["cer"]
    assert [m["active"] for m in service.client.get("/api/models").json()] == [False, True]


def test_a_base_manifest_is_mixed_in_and_guards(
    tmp_path: Path, tiny_bundle: Path, manifest: Path, lines_folder: Path
) -> None:
    service = Running(tmp_path / "service", "--bundles", str(tiny_bundle), "--manifest", str(manifest))
    try:
        for seed, character in enumerate("Xyz€"):  # characters that the version never saw
            assert service.correct(noise(seed), character).status_code == 201
        key = service.client.post("/api/retrain", json={"epochs": 1}).json()["id"]
        wait_for(lambda: service.job(key)["state"] != "running")
        job = service.job(key)
        assert job["state"] == "done", job["message"]
        base = split(read_lines(manifest), 0)
        assert job["report"]["lines"]["held_out"] == len(base[1])
        assert set(job["report"]["after"]) == {"all", *(line.source for line in base[1])}
        rows = read_lines(service.data / "jobs" / "1" / "manifest.csv")
        assert sum(line.source == "corrections" for line in rows) == 12, "four, repeated to a quarter of all"
        new = service.client.get("/api/models").json()[0]
        _, about = read_bundle(service.recipe(new).bundles[0])
        assert set("Xyz€") < set(about["charset"])
    finally:
        service.stop()


def test_a_job_fails_goes_on_ends_with_the_service_and_is_cancelled(service: Running, lines_folder: Path) -> None:
    """Every way of a job but the good one: each says why, and none takes the service with it."""
    send_corrections(service, lines_folder)
    picture = next((service.data / "samples").glob("*/*.png"))
    content = picture.read_bytes()
    picture.write_bytes(b"")
    service.client.post("/api/retrain", json={"epochs": 100, "lr": RATE})
    wait_for(lambda: service.job()["state"] != "running")
    assert service.job()["state"] == "failed"
    assert "is empty (0 bytes)" in service.job()["message"]
    picture.write_bytes(content)
    assert service.client.post("/api/retrain/1/continue").status_code == 202
    wait_for(lambda: service.job()["done"] > 0)
    service.stop()
    assert (service.data / "jobs" / "1" / "member0" / "state.pt").is_file(), "saved at the end of the service"
    service.start()
    assert service.job()["state"] == "interrupted"
    done = service.job()["done"]
    for sample in service.client.get("/api/samples?most=5").json()["samples"]:  # one of five is held out
        assert service.client.delete(f"/api/samples/{sample['id']}").status_code == 200
    assert service.client.post("/api/retrain/1/continue").status_code == 202
    wait_for(lambda: service.job()["done"] > done)
    assert service.client.post("/api/retrain/1/cancel").json()["state"] == "cancelled"
    assert not (service.data / "jobs" / "1").exists()
    assert service.client.post("/api/retrain/1/cancel").status_code == 409
    assert service.client.post("/api/retrain/1/continue").status_code == 409
    assert [m["id"] for m in service.client.get("/api/models").json()] == [1]


def test_twenty_kills_lose_no_acknowledged_correction(service: Running) -> None:
    """Four writers post as fast as they can; kill -9 at a random moment; every 201 must be there after the restart."""
    acknowledged: dict[str, str] = {}
    moments = random.Random(0)
    for round_ in range(20):
        stop = threading.Event()

        def write(writer: int, round_: int = round_, stop: threading.Event = stop) -> None:
            with httpx2.Client(base_url=service.url, timeout=10) as client:
                for number in range(10_000):
                    if stop.is_set():
                        return
                    text = f"{round_} {writer} {number}"
                    image = noise(round_ * 1_000_000 + writer * 100_000 + number)
                    try:
                        answer = client.post("/api/corrections", files={"image": image}, data={"text": text})
                    except httpx2.TransportError:
                        return
                    assert answer.status_code == 201
                    acknowledged[answer.json()["id"]] = text

        with ThreadPoolExecutor(4) as pool:
            before = len(acknowledged)
            writing = [pool.submit(write, writer) for writer in range(4)]
            wait_for(lambda before=before: len(acknowledged) > before + 2)  # type: ignore[misc]
            time.sleep(moments.uniform(0, 0.1))
            service.kill()
            stop.set()
            for future in writing:
                future.result(20)
        service.start()
        kept = {path.stem: path for path in (service.data / "samples").glob("*/[!.]*.json")}
        assert acknowledged.keys() <= kept.keys()
        assert service.client.get("/api/statistics").json()["corrections"] == len(kept)
    for key, text in acknowledged.items():
        facts = json.loads(kept[key].read_text(encoding="utf-8"))
        assert facts["text"] == text
        assert cv2.imread(str(kept[key].with_suffix(".png"))) is not None
    assert not list((service.data / "samples").glob("*/.*")), "leftovers of broken writes"


def test_kills_during_retraining_cost_only_the_steps_since_the_last_save(service: Running, lines_folder: Path) -> None:
    """kill -9 of the service at any moment of a job: the job ends with it, is interrupted, and goes on to its end."""
    send_corrections(service, lines_folder)
    epochs = 12 + 4 * KILLS
    assert service.client.post("/api/retrain", json={"epochs": epochs, "lr": RATE}).status_code == 202
    moments, done = random.Random(1), 0.0
    for kill in range(KILLS):
        if kill % 2 == 0:  # in the middle of the training
            wait_for(lambda done=done: service.job()["done"] > done)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.3))
        service.kill()
        service.start()
        job = service.job()
        assert job["state"] == "interrupted", job
        with file_lock(service.data / "jobs" / "1" / "lock", 60) as mine:
            assert mine, "the killed service's job has ended"
        assert service.job()["done"] >= done, "steps that were saved are kept"
        done = service.job()["done"]
        assert service.client.get("/api/statistics").json()["corrections"] == 24
        assert service.client.post("/api/retrain/1/continue").status_code == 202
    wait_for(lambda: service.job()["state"] != "running")
    assert (service.job()["state"], service.job()["version"]) == ("done", 2)
    scores = [score["epoch"] for score in service.job()["scores"]]
    every = math.ceil(epochs / 12)
    assert scores == sorted({*range(every, epochs + 1, every), epochs}), "no validation is lost or done twice"


def test_swaps_under_load_drop_no_request(tmp_path: Path, tiny_bundle: Path) -> None:
    """Three clients read without a pause while another version is promoted to and fro."""
    service = Running(tmp_path / "service", "--bundles", str(tiny_bundle))
    service.stop()
    service.arguments.append(str(tiny_bundle))  # the same member twice is another version
    service.start()
    stop, answers = threading.Event(), []

    def read(reader: int) -> None:
        with httpx2.Client(base_url=service.url, timeout=30) as client:
            while not stop.is_set():
                files = [("images", (f"{i}", noise(reader * 10 + i))) for i in range(3)]
                answers.append(client.post("/api/recognise", files=files))

    readers = [threading.Thread(target=read, args=(i,)) for i in range(3)]
    for reader in readers:
        reader.start()
    for swap in range(10):
        time.sleep(0.05)
        assert service.client.post(f"/api/models/{1 + swap % 2}/promote").status_code == 200
    stop.set()
    for reader in readers:
        reader.join()
    service.stop()
    assert {answer.status_code for answer in answers} == {200}
    assert {line["version"] for answer in answers for line in answer.json()["lines"]} == {1, 2}


def test_two_services_do_not_share_a_folder(service: Running) -> None:
    with pytest.raises(NetchuError, match="another service uses this folder"):
        build(parse(["--data", str(service.data)]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "others can reach it, so set NETCHU_TOKEN or --token-file first"),
        (["--queue", "0"], "--queue 0: expected 1 or more"),
        (["--manifest", "missing.csv"], "missing.csv: no such manifest"),
        (["--token-file", "missing"], "missing: cannot be read"),
        (["--bundles", "missing.safetensors"], "missing.safetensors: no such bundle"),
        (["--ensemble", "missing.json"], "missing.json: no such recipe"),
        (["--ensemble", str(ROOT / "README.md")], "README.md: cannot be read as JSON"),
        (["--bundles", BUNDLE, "--member", "2"], "--member 2: expected a number from 1 to 1, or all"),
        ([], "release.json: no such recipe; name one with --ensemble, or bundles with --bundles"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("netchu.serve.command.RELEASE", tmp_path / "release.json")
    arguments = [str(tiny_bundle) if word == BUNDLE else word for word in arguments]
    monkeypatch.delenv("NETCHU_TOKEN", raising=False)
    with pytest.raises(NetchuError, match=said):
        build(parse([*arguments, "--data", "service"]))
    assert not (tmp_path / "service").exists(), "checked first, made after"


def test_a_taken_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(NetchuError, match="Address already in use"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(NetchuError, match=r"--host no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


def test_a_short_token_and_a_foreign_database_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETCHU_TOKEN", "short")
    with pytest.raises(NetchuError, match="NETCHU_TOKEN: a token has 16 or more"):
        build(parse(["--data", str(tmp_path)]))
    monkeypatch.delenv("NETCHU_TOKEN")
    (tmp_path / "service.sqlite").write_bytes(b"no database" * 200)
    with pytest.raises(NetchuError, match="is no database of this service"):
        build(parse(["--data", str(tmp_path)]))


def test_a_whole_form_goes_in(tmp_path: Path, tiny_bundle: Path) -> None:
    form = make_form("table", 1)
    app = build(parse(["--bundles", str(tiny_bundle), "--data", str(tmp_path / "service")]))
    photo = bytes(cv2.imencode(".png", form.photo)[1])
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        answer = client.post("/api/recognise?page=true", files={"images": ("form.png", photo, "image/png")})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["lines"]) == len(find_lines(form.photo)) > 10


def test_serving_needs_no_pytorch_and_little_memory(tmp_path: Path) -> None:
    """With the packages of the extra `serve` alone, wide lines and narrow ones, and a version after another; only a
    retraining wants more."""
    code = f"""
import sys
import cv2
from pathlib import Path
from starlette.testclient import TestClient
from netchu.serve.command import build, parse
image = cv2.imread({str(ROOT / "docs/lines/1.jpg")!r}, cv2.IMREAD_GRAYSCALE)
lines = [image[:, :80], image, cv2.hconcat([image] * 3), image] * 2
files = [("images", cv2.imencode(".png", line)[1].tobytes()) for line in lines]
app = build(parse(["--data", {str(tmp_path / "data")!r}, "--timeout", "600"]))
with TestClient(app, base_url="http://127.0.0.1:8000") as client:
    print(client.post("/api/recognise", files=files).json()["lines"][1]["text"])
    for _ in range(3):
        client.post("/api/models/1/promote")
        client.post("/api/recognise", files=files)
print({{"torch", "torchvision", "timm", "accelerate", "pandas", "sklearn", "albumentations"}} & set(sys.modules))
print(next(row.split()[1] for row in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in row))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text, imported, kilobytes = done.stdout.splitlines()
    assert (text, imported) == ("Xã Tuy Lộc Hậu Lộc Thanh Hoá", "set()")
    assert int(kilobytes) < 390_000  # 973 MB with PyTorch

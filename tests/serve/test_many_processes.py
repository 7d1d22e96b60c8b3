"""Several service processes on one PostgreSQL database and one folder: what one does, all know.

Skips where PostgreSQL is not installed. NETCHU_KILLS: how many kills under load.
"""

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy

from netchu.core.errors import NetchuError
from netchu.serve.samples import Samples
from netchu.serve.store import Job, Store
from tests.support.postgres import missing, postgres
from tests.support.services import RATE, Running, noise, send_corrections, wait_for

KILLS = int(os.environ.get("NETCHU_KILLS", "3"))
SERVED_BY_ALL = 10.0  # seconds in which every process serves what one promoted

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> str:
    """URL of an empty database."""
    name = f"netchu_{abs(hash(request.node.name)):x}"
    address = server.format("postgres").replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.format(name)


@pytest.fixture
def pair(tmp_path: Path, database: str, tiny_bundle: Path) -> Iterator[tuple[Running, Running]]:
    """Two services; only the first one names a model."""
    first = Running(tmp_path / "shared", "--database", database, "--bundles", str(tiny_bundle))
    second = Running(tmp_path / "shared", "--database", database)
    yield first, second
    for service in (first, second):
        if service.process.is_alive():
            service.stop()


def test_what_one_promotes_all_serve(pair: tuple[Running, Running], tiny_bundle: Path) -> None:
    first, second = pair
    first.stop()
    first.arguments[-1:] = [str(tiny_bundle), str(tiny_bundle)]  # another version, which serves from its start on
    first.start()
    began = time.monotonic()
    wait_for(lambda: second.client.get("/healthz").json()["version"] == 2, SERVED_BY_ALL)
    assert second.client.post("/api/models/1/promote").json() == {"version": 1}
    wait_for(lambda: first.client.get("/healthz").json()["version"] == 1, SERVED_BY_ALL)
    assert time.monotonic() - began < 2 * SERVED_BY_ALL
    answer = first.client.post("/api/recognise", files=[("images", noise(1))]).json()
    assert {line["version"] for line in answer["lines"]} == {1}


def test_both_know_every_sample_and_its_sums(pair: tuple[Running, Running]) -> None:
    """Both write at the same time, the same pictures too."""
    first, second = pair
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda seed: pair[seed % 2].correct(noise(seed // 2 % 20), "Huế", "Huê").status_code, range(80))
        )
    assert sorted(set(answers)) == [200, 201] and answers.count(201) == 20
    listed = [service.client.get("/api/samples?order=oldest&most=200").json()["samples"] for service in pair]
    assert listed[0] == listed[1]
    assert [sample["number"] for sample in listed[0]] == list(range(1, 21))
    figures = [service.client.get("/api/statistics").json() for service in pair]
    assert figures[0] == figures[1]
    assert (figures[0]["corrections"], figures[0]["held_out"], figures[0]["changed"]) == (20, 4, 20)
    assert first.client.delete(f"/api/samples/{listed[0][0]['id']}").status_code == 200
    assert second.client.post(f"/api/samples/{listed[0][0]['id']}/restore").status_code == 200


def test_one_retrains_at_a_time_and_any_ends_it(pair: tuple[Running, Running], lines_folder: Path) -> None:
    first, second = pair
    send_corrections(first, lines_folder)
    assert first.client.post("/api/retrain", json={"epochs": 100, "lr": RATE}).status_code == 202
    refused = second.client.post("/api/retrain")
    assert (refused.status_code, refused.json()["error"]) == (409, "job 1: is at work; one job runs at a time")
    wait_for(lambda: second.job()["done"] > 0)
    assert second.job()["state"] == "running"
    second.client.post("/api/retrain/1/cancel")
    wait_for(lambda: first.job()["state"] == "cancelled")
    assert second.client.post("/api/retrain", json={"epochs": 100, "lr": RATE}).status_code == 202, "now it is free"
    wait_for(lambda: first.job(2)["done"] > 0)
    second.kill()
    wait_for(lambda: first.job(2)["state"] == "interrupted", 30)
    assert first.client.post("/api/retrain/2/continue").status_code in (202, 409)
    first.client.post("/api/retrain/2/cancel")
    wait_for(lambda: first.job(2)["state"] == "cancelled")


def test_kill_of_one_under_load_loses_nothing_acknowledged(pair: tuple[Running, Running]) -> None:
    """Writers post to both; one is killed at a random moment: every 201 is there, and the other goes on."""
    first, second = pair
    acknowledged: dict[str, str] = {}
    moments = random.Random(0)
    for round_ in range(KILLS):
        victim, other = (first, second) if round_ % 2 else (second, first)
        stop, after = threading.Event(), threading.Event()
        went_on: list[int] = []
        events = (stop, after, went_on)

        def write(writer: int, service: Running, round_: int = round_, events: Any = events) -> None:
            stop, after, went_on = events
            with httpx2.Client(base_url=service.url, timeout=20) as client:
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
                    if after.is_set():
                        went_on.append(writer)

        with ThreadPoolExecutor(4) as pool:
            before = len(acknowledged)
            writing = [pool.submit(write, writer, (victim, other)[writer % 2]) for writer in range(4)]
            wait_for(lambda before=before: len(acknowledged) > before + 3)  # type: ignore[misc]
            time.sleep(moments.uniform(0, 0.1))
            victim.kill()
            after.set()
            wait_for(lambda went_on=went_on: len(went_on) > 2, 20)  # type: ignore[misc]
            stop.set()
            for future in writing:
                future.result(30)
        victim.start()
    for service in pair:
        answer = service.client.get("/api/statistics").json()
        kept = {path.stem for path in (service.data / "samples").glob("*/[!.]*.json")}
        assert acknowledged.keys() <= kept
        assert answer["corrections"] == len(kept)
    listed: dict[str, str] = {}
    for start in range(0, len(kept), 200):
        answer = second.client.get(f"/api/samples?order=oldest&most=200&start={start}").json()
        listed |= {sample["id"]: sample["text"] for sample in answer["samples"]}
    assert acknowledged.items() <= listed.items()


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="is no database of this service"):
        Store(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(NetchuError, match="--database"):
        Store("mysql://x")
    with pytest.raises(NetchuError, match="--database"):
        Store("nonsense")
    with pytest.raises(NetchuError, match="--database"):
        Store("postgresql://netchu@database:port/netchu")


def test_the_lock_of_a_job_ends_with_its_connection(database: str, tmp_path: Path) -> None:
    stores = [Store(database) for _ in range(2)]
    release = stores[0].hold("retraining")
    assert release is not None and stores[1].hold("retraining") is None
    stores[0].insert(Job(base=1))
    release()
    again = stores[1].hold("retraining")
    assert again is not None
    again()
    samples = Samples(tmp_path / "samples", stores[0])
    assert samples.recover() == 0
    for store in stores:
        store.close()

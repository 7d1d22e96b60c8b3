"""The service over HTTP, in this process: answers, corrections, versions, limits, the token, what is refused."""

import base64
import csv
import io
import json
import os
import re
import sqlite3
import sys
import tempfile
import time
import unicodedata
import weakref
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import openpyxl
import pytest
from fastapi.routing import APIRoute
from PIL import Image as Pillow
from sqlalchemy import event
from starlette.testclient import TestClient

from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.data.table import read_labels_tsv
from netchu.experiments.registry import Registry
from netchu.reading.ensemble import Ensemble
from netchu.reading.line_reader import Settings
from netchu.reading.pages import PageLine
from netchu.reading.recipe import plain_recipe, read_recipe, write_recipe
from netchu.reading.submission import read_folder
from netchu.serve.api import build_app
from netchu.serve.request_guard import RequestGuard
from netchu.serve.samples import Samples
from netchu.serve.service import DATABASE, FOLLOW, Service, ServiceSettings
from netchu.serve.store import Job
from netchu.serve.uploads import UploadLimits
from netchu.synthesis.renderer import Renderer
from tests.support.services import wait_for
from tests.support.tiny import ROOT
from tests.support.uploads import FILES, decode

TOKEN = "a token of many letters"
HOST = "http://127.0.0.1:8000"


def png(image: Any = None, width: int = 200, seed: int = 0) -> bytes:
    """A PNG of an image, or of noise."""
    if image is None:
        image = np.random.default_rng(seed).integers(0, 255, (40, width), dtype=np.uint8)
    return bytes(cv2.imencode(".png", image)[1])


def guarded(service: Service, *, loopback: bool = True, most: int = 16) -> RequestGuard:
    """The application behind its request guard, as serve builds it."""
    return RequestGuard(
        build_app(service),
        token=service.settings.token,
        loopback=loopback,
        request_bytes=service.settings.limits.request_bytes,
        most=most,
        retry_after=service.batcher.retry_after,
        observe=service.telemetry.observe_request,
    )


@pytest.fixture
def settings(tmp_path: Path, tiny_bundle: Path) -> ServiceSettings:
    return ServiceSettings(data=tmp_path / "service", bundles=[tiny_bundle], limits=UploadLimits(request_bytes=400_000))


@pytest.fixture
def service(settings: ServiceSettings) -> Iterator[Service]:
    service = Service(settings)
    yield service
    service.close()


@pytest.fixture
def client(service: Service) -> TestClient:
    return TestClient(guarded(service), base_url=HOST)


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def recognise(client: TestClient, *files: bytes, query: str = "") -> Any:
    return client.post(f"/api/recognise{query}", files=[("images", (f"{i}.png", f)) for i, f in enumerate(files)])


def correct(client: TestClient, image: bytes, text: str, **fields: Any) -> Any:
    return client.post("/api/corrections", files={"image": ("line.png", image)}, data={"text": text, **fields})


def test_lines_are_read_in_order_as_the_ensemble_reads_them(client: TestClient, service: Service) -> None:
    images = [png(width=w, seed=w) for w in (200, 90, 200, 410)]
    answer = recognise(client, *images)
    assert answer.status_code == 200
    body = answer.json()
    decoded = [decode(i) for i in images]
    expected = service.versions.load(1).ensemble.read(decoded)
    assert [line["text"] for line in body["lines"]] == [e.reading.text for e in expected]
    assert [line["size"][0] for line in body["lines"]] == [200, 90, 200, 410]
    for line in body["lines"]:
        assert "".join(c["text"] for c in line["characters"]) == line["text"]
        assert all(0 <= c["confidence"] <= 1 for c in line["characters"])
        assert line["version"] == body["version"] == 1
        assert all(a["text"] != line["text"] for a in line["alternatives"])


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_a_picture_of_a_phone_is_read_as_its_pixels_are(form: str, client: TestClient, tmp_path: Path) -> None:
    line = Pillow.fromarray(np.random.default_rng(3).integers(0, 255, (40, 200), dtype=np.uint8)).convert("RGB")
    stream = io.BytesIO()
    line.save(stream, form)
    (tmp_path / "line").write_bytes(stream.getvalue())
    pixels = read_image(tmp_path / "line")
    answers = [recognise(client, data) for data in (stream.getvalue(), png(pixels))]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    one, other = (answer.json()["lines"][0] for answer in answers)
    assert (one["text"], one["confidence"], one["size"]) == (other["text"], other["confidence"], [200, 40])


def test_a_correction_is_kept_once_by_content(client: TestClient, service: Service, settings: ServiceSettings) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 100), dtype=np.uint8)
    first = correct(client, png(image), "Hà Nội", read_text="Ha Noi", version=1)
    assert first.status_code == 201
    assert first.json()["new"] is True
    as_bmp = bytes(cv2.imencode(".bmp", image)[1])
    again = client.post("/api/corrections", files={"image": ("x", as_bmp)}, data={"text": "Ha\u0300 No\u0323\u0302i"})
    assert (again.status_code, again.json()["new"], again.json()["id"]) == (200, False, first.json()["id"])
    changed = correct(client, png(image), "Hà Nội 2")
    assert changed.json() == {"id": first.json()["id"], "new": False, "text": "Hà Nội 2"}
    files = sorted(p.name for p in (settings.data / "samples").glob("*/*"))
    assert files == [f"{first.json()['id']}.json", f"{first.json()['id']}.png"]
    sidecar = json.loads(next((settings.data / "samples").glob("*/*.json")).read_text(encoding="utf-8"))
    assert sidecar["text"] == "Hà Nội 2"
    kept = read_image(next((settings.data / "samples").glob("*/*.png")))
    assert np.array_equal(kept, image)
    assert service.store.count_samples() == (1, 0, 1)


def test_a_lost_database_is_made_again_from_the_folder(settings: ServiceSettings) -> None:
    service = Service(settings)
    client = TestClient(guarded(service), base_url=HOST)
    for seed in range(7):
        correct(client, png(seed=seed), f"Tổ {seed}", read_text="Tổ 0", version=1)
    before = [sample.to_dict() for sample in service.store.samples()]
    service.close()
    for path in settings.data.glob("service.sqlite*"):
        path.unlink()
    folder = next((settings.data / "samples").iterdir())
    for name in (".broken.png", f"{'0' * 64}.png"):  # as a kill between two writes leaves them
        (folder / name).write_bytes(b"x")
    service = Service(settings)
    assert [sample.to_dict() for sample in service.store.samples()] == before
    assert len(list((settings.data / "samples").glob("*/*"))) == 14
    service.close()


def test_what_was_held_out_stays_so_when_it_comes_anew(settings: ServiceSettings) -> None:
    """Also after the day in which it can be undone, without the database; what was trained on does not judge later."""
    service = Service(settings)
    client = TestClient(guarded(service), base_url=HOST)
    for seed in range(9):
        correct(client, png(seed=seed), f"Tổ {seed}")
    listed = client.get("/api/samples?order=oldest").json()["samples"]
    assert [sample["number"] for sample in listed if sample["held_out"]] == [5]
    for number in (5, 1):
        client.delete(f"/api/samples/{listed[number - 1]['id']}")
    service.close()
    for path in (*(settings.data / "deleted").iterdir(), *settings.data.glob("service.sqlite*")):
        path.unlink()
    service = Service(settings)
    client = TestClient(guarded(service), base_url=HOST)
    for seed in (0, 4):  # as numbers 10, a fifth one, and 11
        correct(client, png(seed=seed), "anew")
    listed = client.get("/api/samples?order=oldest").json()["samples"]
    assert [(sample["number"], sample["held_out"]) for sample in listed[-2:]] == [(10, False), (11, True)]
    service.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [("  ", "is empty"), ("a\nb", "control characters"), ("x" * 400, "400 characters; a line has at most 300")],
)
def test_a_text_that_is_no_line_is_refused(client: TestClient, service: Service, text: str, said: str) -> None:
    answer = correct(client, png(), text)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert service.store.count_samples() == (0, 0, 0)


def test_statistics_count_what_was_read_wrong(client: TestClient) -> None:
    for i in range(6):
        correct(client, png(seed=i), "Huế", read_text="Huê" if i < 4 else "Huế", version=1)
    body = client.get("/api/statistics").json()
    assert (body["corrections"], body["held_out"], body["changed"]) == (6, 1, 4)
    assert body["by_version"]["1"]["exact"] == pytest.approx(2 / 6)
    assert body["by_version"]["1"]["cer"] == pytest.approx(4 / 18)
    assert body["hardest"] == [{"character": "ế", "right": 2, "seen": 6}]


def test_statistics_are_of_one_moment(client: TestClient, service: Service) -> None:
    """A correction that comes while they are read is in all of them or in none."""
    correct(client, png(seed=0), "Huế", read_text="Huê", version=1)
    seeds = iter(range(1, 100))

    def interfere(*told: Any) -> None:
        if "FROM sums" in told[2]:
            service.samples.correct(decode(png(seed=next(seeds))), "Huế", read_text="Huê", version=1)

    event.listen(service.store.engine, "after_cursor_execute", interfere)
    body = client.get("/api/statistics").json()
    event.remove(service.store.engine, "after_cursor_execute", interfere)
    assert body["corrections"] == body["changed"] == body["by_version"]["1"]["lines"]


def test_versions_are_promoted_and_rolled_back(client: TestClient, service: Service, tiny_bundle: Path) -> None:
    second = service.versions.register(plain_recipe([tiny_bundle, tiny_bundle]))
    assert [(v["id"], v["active"]) for v in client.get("/api/models").json()] == [(2, False), (1, True)]
    assert client.post(f"/api/models/{second.id}/promote").json() == {"version": 2}
    assert recognise(client, png()).json()["version"] == 2
    assert client.post("/api/models/1/promote").json() == {"version": 1}
    missing = client.post("/api/models/7/promote")
    assert (missing.status_code, missing.json()["error"]) == (404, "version 7: there is none of that number")
    assert service.versions.register(plain_recipe([tiny_bundle])).id == 1


def test_a_version_is_let_go_when_another_serves(service: Service, tiny_recipe: Path) -> None:
    """All of it and at once, with its language model, whose memory of what it computed refers to it."""
    service.promote(service.versions.register(read_recipe(tiny_recipe)).id)
    ensemble = service.batcher.recogniser.ensemble  # type: ignore[attr-defined]
    parts = [ensemble, ensemble.reader.scorer.model, ensemble.reader.gazetteer]
    known = [weakref.ref(part) for part in parts]
    del ensemble, parts
    service.promote(1)
    assert not any(part() for part in known)


def test_the_promoted_version_serves_after_a_restart(settings: ServiceSettings, tiny_bundle: Path) -> None:
    service = Service(settings)
    service.promote(service.versions.register(plain_recipe([tiny_bundle, tiny_bundle])).id)
    service.close()
    other = replace(settings, bundles=[tiny_bundle] * 3)
    for again, serves in (
        (replace(settings, bundles=()), 2),
        (settings, 2),  # as a unit file names it at every start: what a person chose since holds
        (other, 3),
        (settings, 1),  # another one than at the start before
        (settings, 1),
    ):
        service = Service(again)
        assert service.active == serves
        service.close()


def test_a_retraining_whose_end_could_not_be_written_can_be_continued(client: TestClient, service: Service) -> None:
    service.store.insert(Job(base=1))
    wait_for(lambda: client.get("/api/retrain/1").json()["state"] == "interrupted", 3 * FOLLOW)


def test_versions_get_names(client: TestClient, service: Service, settings: ServiceSettings) -> None:
    assert client.get("/api/models").json()[0]["name"] == ""
    renamed = client.put("/api/models/1", json={"name": "  Qua\u0323\u0302n\u00a01 "})
    assert renamed.json() == {"version": 1, "name": "Quận 1"}
    row = client.get("/api/models").json()[0]
    assert row["name"] == "Quận 1" and row["note"], "where it comes from stays"
    for path, name, status in (
        ("/api/models/7", "a", 404),
        ("/api/models/1", "a\nb", 422),
        ("/api/models/1", "a" * 500, 422),
        ("/api/models/1", 5, 422),
    ):
        answer = client.put(path, json={"name": name})
        assert answer.status_code == status and isinstance(answer.json()["error"], str)
    service.close()
    again = Service(settings)
    assert again.describe_versions()[0]["name"] == "Quận 1"
    again.close()


class TestRecipe:
    """A service that reads with a whole recipe: members, language model, places, settings, threshold."""

    @pytest.fixture
    def settings(self, tmp_path: Path, tiny_recipe: Path) -> ServiceSettings:
        return ServiceSettings(data=tmp_path / "service", ensemble=tiny_recipe)

    def test_it_reads_as_the_recipe_does(self, client: TestClient, lines_folder: Path, tiny_recipe: Path) -> None:
        images = [read_image(path) for path in sorted((lines_folder / "images" / "1").glob("*.jpg"))]
        lines = recognise(client, *map(png, images)).json()["lines"]
        recipe = read_recipe(tiny_recipe)
        for line, timed in zip(lines, Ensemble.from_recipe(recipe).read(images), strict=True):
            reading = timed.reading
            assert line["text"] == reading.text
            assert line["confidence"] == pytest.approx(reading.confidence, abs=1e-3)
            assert line["accept"] is (reading.confidence >= 0.25)
            sure = [character["confidence"] for character in line["characters"]]
            assert sure == pytest.approx(reading.characters, abs=1e-3)
            for character in line["characters"]:
                said = character["confidence"] + sum(guess["confidence"] for guess in character["alternatives"])
                assert said <= 1.001
        assert {line["accept"] for line in lines} == {True, False}, "the threshold must part these lines"

    def test_versions_hold_all_files_and_one_of_each(self, service: Service, tiny_recipe: Path) -> None:
        recipe = read_recipe(tiny_recipe)
        assert service.versions.register(recipe).id == 1
        other = service.versions.register(replace(recipe, settings=Settings(decoder="beam", width=4)))
        rows = service.describe_versions()
        assert [(r["id"], r["members"], r["language"], r["places"]) for r in rows] == [
            (2, 2, True, True),
            (1, 2, True, True),
        ]
        kept = service.versions.recipe(other.id)
        assert (kept.weights, kept.accept, kept.settings.width) == (recipe.weights, recipe.accept, 4)
        folder = service.settings.data / "versions"
        assert all(path.parent == folder for path in kept.files)
        assert len(list(folder.glob("*.safetensors"))) == 2 and len(list(folder.glob("language-*"))) == 1
        entries = Registry(folder).entries()
        assert [e.file for e in entries] == [path.name for path in kept.bundles]
        assert {e.note for e in entries} == {f"{tiny_recipe.parent.name}/ensemble.json"}

    def test_recipes_and_bundles_follow_one_another(
        self, service: Service, settings: ServiceSettings, tiny_bundle: Path
    ) -> None:
        """Swapped while it runs, swapped at a start, and the one that served last comes back."""
        service.promote(service.versions.register(plain_recipe([tiny_bundle])).id)
        client = TestClient(guarded(service), base_url=HOST)
        body = recognise(client, png()).json()
        assert (body["version"], body["lines"][0]["accept"]) == (2, None)
        service.promote(1)
        assert recognise(client, png()).json()["lines"][0]["accept"] is not None
        service.promote(2)
        service.close()
        for again, serves in (
            (replace(settings, ensemble=None), 2),
            (replace(settings, ensemble=None, release=Path("none")), 2),
            (settings, 2),  # named at the first start already
            (replace(settings, bundles=[tiny_bundle, tiny_bundle], ensemble=None), 3),
            (settings, 1),  # what is asked for is served
            (replace(settings, ensemble=None), 1),
        ):
            other = Service(again)
            assert other.active == serves
            other.close()

    def test_a_changed_file_is_found_before_it_serves(
        self, service: Service, settings: ServiceSettings, tiny_bundle: Path
    ) -> None:
        client = TestClient(guarded(service), base_url=HOST)
        second = service.versions.register(plain_recipe([tiny_bundle, tiny_bundle])).id
        service.promote(second)
        language = next((settings.data / "versions").glob("language-*"))
        content = language.read_bytes()
        language.write_bytes(content[:-1])
        refused = client.post("/api/models/1/promote")
        assert refused.status_code == 500
        assert f"{language.name} has changed since" in refused.json()["error"]
        assert recognise(client, png()).json()["version"] == second
        language.write_bytes(content)
        assert client.post("/api/models/1/promote").status_code == 200


def test_the_release_serves_when_nothing_is_named(tmp_path: Path, tiny_recipe: Path) -> None:
    settings = ServiceSettings(data=tmp_path / "service", release=tmp_path / "none.json")
    with pytest.raises(
        NetchuError, match=r"none.json: no such recipe; name one with --ensemble, or bundles with --bundles"
    ):
        Service(settings)
    service = Service(replace(settings, release=tiny_recipe))
    assert service.describe_versions()[0]["language"] is True
    service.close()


def test_an_empty_answer_is_safe_for_plain_paper_only_and_never_certain(tmp_path: Path, tiny_recipe: Path) -> None:
    """Faint writing, a black picture and a negative: whatever is made of them, an empty text is no safe answer."""
    writing = np.full((40, 200), 235, np.uint8)
    cv2.putText(writing, "12 Hue", (20, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (214,), 2)
    dark = np.full((40, 200), 20, np.uint8)
    paper = np.full((40, 200), 230, np.uint8)
    service = Service(ServiceSettings(data=tmp_path / "service", ensemble=tiny_recipe))
    try:
        client = TestClient(guarded(service), base_url=HOST)
        lines = recognise(client, png(writing), png(255 - writing), png(dark), png(paper)).json()["lines"]
        for line in lines[:3]:
            assert line["text"] or not line["accept"], line
        for line in lines:
            assert line["text"] or line["confidence"] < 1
        assert (lines[3]["text"], lines[3]["accept"]) == ("", True)
    finally:
        service.close()


def test_a_line_that_cannot_be_read_takes_no_other_with_it(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a request, in one batch with good ones."""
    recogniser = service.batcher.recogniser
    read = recogniser.read

    def fails(images: Any) -> Any:
        if any(image[0, 0] == 7 for image in images):
            raise RuntimeError("seven")
        return read(images)

    monkeypatch.setattr(recogniser, "read", fails)
    images = [np.full((40, 200), level, np.uint8) for level in (8, 7, 9)]
    answer = recognise(client, *map(png, images))
    assert answer.status_code == 200
    errors = [line.get("error", "") for line in answer.json()["lines"]]
    assert [bool(error) for error in errors] == [False, True, False]
    assert answer.json()["lines"][1]["accept"] is False


def test_the_service_and_infer_read_alike(tmp_path: Path, tiny_recipe: Path) -> None:
    """Drawn lines in every font of the repository, many with capitals that the charset lacks; NETCHU_LINES: how many
    and NETCHU_RECIPE: with which ensemble.json."""
    count, path = int(os.environ.get("NETCHU_LINES", "100")), Path(os.environ.get("NETCHU_RECIPE", tiny_recipe))
    recipe = read_recipe(path)
    titled = tmp_path / "ensemble.json"
    write_recipe(titled, replace(recipe, settings=replace(recipe.settings, convention="title")))
    fonts = sorted((ROOT / "synthetic_data" / "fonts").glob("*.ttf"))
    texts = ["tổ 7 ủy ban xã bình minh", "ấp ừ đông", "đắk lắk 12/4", "số 5 hẻm ổi"]
    folder = tmp_path / "lines"
    folder.mkdir()
    for number in range(count):
        renderer = Renderer([fonts[number % len(fonts)]], height=48)
        image = renderer.render(texts[number % len(texts)], np.random.default_rng(number))
        assert cv2.imwrite(str(folder / f"{number:04d}.png"), image)
    expected = [answer.text for answer in read_folder(folder, Ensemble.from_recipe(read_recipe(titled)))]
    service = Service(ServiceSettings(data=tmp_path / "service", ensemble=titled, patience=600, timeout=600))
    try:
        client = TestClient(guarded(service), base_url=HOST)
        found, unknown = [], 0
        files = [path.read_bytes() for path in sorted(folder.iterdir())]
        for start in range(0, count, 10):
            answer = recognise(client, *files[start : start + 10])
            assert answer.status_code == 200
            found += [line["text"] for line in answer.json()["lines"]]
            unknown += sum("error" in line for line in answer.json()["lines"])
        assert unknown == 0
        assert found == expected
        assert not service.versions.load(1).ensemble.charset.count_unknown(found)
    finally:
        service.close()


def test_hostile_uploads_are_answered_and_reading_goes_on(client: TestClient) -> None:
    """The files of test_uploads over HTTP: a 4xx with one sentence for each of them, as image and as page."""
    for name, data in FILES:
        if len(data) < 390_000:
            answer = recognise(client, data)
            assert 400 <= answer.status_code < 500, name
            assert answer.json()["error"].startswith("0.png: "), name
    assert sum(len(data) < 390_000 for _, data in FILES) >= 200
    assert recognise(client, png()).status_code == 200


def test_health_metrics_about_and_page(client: TestClient) -> None:
    recognise(client, png(), png(seed=1))
    assert client.get("/healthz").json() == {"status": "ok", "version": 1, "queue": 0}
    text = client.get("/metrics").text
    assert 'netchu_requests_total{route="/api/recognise",status="200"} 1.0' in text
    assert "netchu_lines_total 2.0" in text
    assert "netchu_version 1.0" in text
    assert "process_resident_memory_bytes" in text
    assert client.get("/api/about").json()["token"] is False
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in set(re.findall(r'(?:src|href)="(/?[\w.]+)"', page.text)):
        assert client.get(f"/{name.lstrip('/')}").status_code == 200, name
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text


def test_errors_are_one_sentence_of_json(client: TestClient) -> None:
    for method, path, status in (
        ("GET", "/api/retrain/99", 404),
        ("GET", "/api/retrain/x", 422),
        ("GET", "/api/retrain/99999999999999999999", 422),
        ("POST", "/api/models/0/promote", 422),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/api/models/..%2f..%2f1", 404),
        ("POST", "/api/recognise", 400),
        ("POST", "/api/corrections", 400),
        ("DELETE", "/api/models", 405),
        ("POST", "/api/retrain", 409),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status, path
        assert isinstance(answer.json()["error"], str), path
    bad = client.post("/api/retrain", json={"epochs": 0})
    assert (bad.status_code, bad.json()["error"]) == (422, "epochs: Input should be greater than or equal to 1")
    assert recognise(client, png(), query="?page=true").status_code == 422


def test_every_route_refuses_in_one_shape(
    service: Service, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence and a word, whatever is wrong: address, method, token, host, size, body, part of a file, the disk."""
    client = TestClient(guarded(service), base_url=HOST, raise_server_exceptions=False)
    key = correct(client, png(), "Huế").json()["id"]
    answers = []
    routes = [route for route in build_app(service).routes if isinstance(route, APIRoute)]
    assert len(routes) > 20
    for route in routes:
        for value in ("0" * 64, "99", "x"):
            path = re.sub(r"{\w+}", value, route.path)
            for method in (*(route.methods or ()), "PATCH"):
                answers += [client.request(method, path), client.request(method, path, json={"text": "", "name": 5})]
                answers.append(client.request(method, path, content=b"{", headers={"content-type": "application/json"}))
                answers.append(client.request(method, path, files={"images": b"no image"}, data={"text": "a"}))
    for path in (f"/api/samples/{key}/image", "/api/samples/export"):
        answers += [client.get(path, headers={"range": part}) for part in ("bytes=99999-", "bytes=x")]
        assert [answer.status_code for answer in answers[-2:]] == [416, 400]
    answers.append(client.get("/nothing"))
    answers.append(client.get("/api/models", headers={"host": "elsewhere.example"}))
    answers.append(recognise(client, b"x" * 500_000))
    answers.append(recognise(TestClient(guarded(service, most=0), base_url=HOST), png()))
    monkeypatch.setattr(service.batcher, "capacity", 0)
    answers.append(recognise(client, png()))
    monkeypatch.setattr(service.store, "batches", lambda: 1 / 0)
    answers.append(client.get("/api/batches"))
    service.versions.path(1).write_text("{")
    answers.append(client.post("/api/models/1/promote"))
    service.settings = replace(settings, token=TOKEN)
    answers.append(TestClient(guarded(service), base_url=HOST).get("/api/samples"))
    refused = [answer for answer in answers if answer.status_code >= 400]
    for answer in refused:
        body = answer.json()
        assert body.keys() == {"error", "code"}, (answer.request.method, answer.url, body)
        assert body["error"] and re.fullmatch("[a-z_]+", body["code"]), body
    assert {answer.status_code for answer in refused} == {400, 401, 403, 404, 405, 409, 413, 415, 416, 422, 500, 503}


def part(image: Any, top: int, bottom: int) -> PageLine:
    """A line found on a picture, between two of its rows."""
    width = image.shape[1]
    corners = np.array([(0, top), (width, top), (width, bottom), (0, bottom)], float)
    return PageLine((0, top, width, bottom), corners, image[top:bottom])


def halves(image: Any) -> list[PageLine]:
    """The upper and the lower half as lines."""
    middle = image.shape[0] // 2
    return [part(image, 0, middle), part(image, middle, image.shape[0])]


@pytest.fixture
def halving(service: Service) -> TestClient:
    return TestClient(build_app(service, find_lines=halves), base_url=HOST)


def decoded(url: str) -> Any:
    """The image of a data URL."""
    return decode(base64.b64decode(url.partition("base64,")[2]))


def test_a_page_is_cut_into_its_lines(service: Service, halving: TestClient) -> None:
    page = np.random.default_rng(0).integers(0, 255, (80, 200), dtype=np.uint8)
    answer = recognise(halving, png(page), query="?page=true").json()
    lines = answer["lines"]
    assert [line["text"] for line in lines] == [
        recognise(halving, png(part)).json()["lines"][0]["text"] for part in (page[:40], page[40:])
    ]
    assert re.fullmatch("[0-9a-f]{16}", answer["pages"][0].pop("id"))
    assert answer["pages"] == [{"name": "0.png", "number": 1, "size": [200, 80]}]
    assert [line["page"] for line in lines] == [0, 0]
    assert lines[1]["corners"] == [[0, 40], [200, 40], [200, 80], [0, 80]]
    assert np.array_equal(decoded(lines[1]["image"]), page[40:])
    blank = TestClient(build_app(service, find_lines=lambda image: []), base_url=HOST)
    assert "no line of writing" in recognise(blank, png(page), query="?page=true").json()["error"]
    assert recognise(blank, png(page), query="?page=perhaps").status_code == 422


def test_the_layout_is_found(halving: TestClient) -> None:
    """A strip and a low picture are lines by themselves, a sheet is cut, in one request."""
    rng = np.random.default_rng(0)
    strip, low, sheet = (rng.integers(0, 255, shape, dtype=np.uint8) for shape in ((64, 995), (60, 90), (300, 400)))
    answer = recognise(halving, png(strip), png(sheet), png(low), query="?page=auto").json()
    assert [line.get("page") for line in answer["lines"]] == [None, 0, 0, None]
    assert [line["size"] for line in answer["lines"]] == [[995, 64], [400, 150], [400, 150], [90, 60]]
    assert [page["name"] for page in answer["pages"]] == ["1.png"]


def test_a_line_that_fills_the_picture_and_a_sheet_without_lines(service: Service) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (200, 300), dtype=np.uint8)
    lone = TestClient(build_app(service, find_lines=lambda image: [part(image, 20, 180)]), base_url=HOST)
    answer = recognise(lone, png(picture), query="?page=auto").json()
    assert (answer["pages"], answer["lines"][0]["size"]) == ([], [300, 200])
    none = TestClient(build_app(service, find_lines=lambda image: []), base_url=HOST)
    answer = recognise(none, png(picture), query="?page=auto").json()
    assert (len(answer["pages"]), answer["lines"]) == (1, []), "so that a person can draw the boxes"


def test_boxes_that_a_person_drew_are_read(halving: TestClient) -> None:
    page = np.random.default_rng(0).integers(0, 255, (120, 300), dtype=np.uint8)
    boxes = [[[0, 0], [200, 0], [200, 40], [0, 40]], [[-5, 60], [300, 60], [300, 120], [-5, 120]]]

    def send(content: Any) -> Any:
        text = content if isinstance(content, str) else json.dumps(content)
        return halving.post("/api/recognise", files={"images": ("a.png", png(page))}, data={"boxes": text})

    lines = send(boxes).json()["lines"]
    assert [line["size"] for line in lines] == [[200, 40], [300, 60]]
    alone = recognise(halving, png(page[:40, :200])).json()["lines"][0]
    assert lines[0]["text"] == alone["text"]
    huge = [[[0, 0], [9, 0], [9, 10**400], [0, 9]]]
    small, strange = [[[0, 0], [1, 0], [1, 1], [0, 1]]], "[[[0,0],[9,0],[9,NaN],[0,9]]]"
    for bad in ("x", "[]", "[[1, 2]]", small, huge, strange, '{"a": 1}'):
        answer = send(bad)
        assert (answer.status_code, answer.json()["error"][:6]) == (422, "boxes:"), bad


def test_documents_become_their_pages(halving: TestClient) -> None:
    """A PDF and a TIFF of two pages."""
    for kind, name in (("PDF", "a.pdf"), ("TIFF", "a.tif")):
        sheets = [Pillow.fromarray(np.full((300, 400), 200 + 10 * i, np.uint8)) for i in range(2)]
        stream = io.BytesIO()
        sheets[0].save(stream, kind, save_all=True, append_images=sheets[1:])
        answer = halving.post("/api/recognise?page=auto", files={"images": (name, stream.getvalue())})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert [(page["name"], page["number"]) for page in body["pages"]] == [(name, 1), (name, 2)]
        assert [line["page"] for line in body["lines"]] == [0, 0, 1, 1]
        assert decoded(body["pages"][1]["image"]).shape == tuple(body["pages"][1]["size"][::-1])
        once = correct(halving, stream.getvalue(), "a")
        assert (once.status_code, once.json()["code"]) == (422, "many_pages")
    broken = halving.post("/api/recognise?page=auto", files={"images": ("b.pdf", b"%PDF-1.7 nothing")})
    assert (broken.status_code, broken.json()["code"]) == (422, "damaged")


@pytest.mark.parametrize(
    ("module", "data", "code"),
    [("pypdfium2", b"%PDF-1.7", "no_pdf"), ("pillow_heif", b"\0\0\0\x18ftypheic" + bytes(40), "no_heic")],
)
def test_a_missing_decoder_is_one_line(
    halving: TestClient, module: str, data: bytes, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("netchu.serve.uploads.find_spec", lambda name: None)
    answer = recognise(halving, data)
    assert (answer.status_code, answer.json()["code"]) == (415, code)


class TestBatch:
    """Lines kept as they were read, checked one by one, taken away, deleted and brought back."""

    @pytest.fixture
    def kept(self, client: TestClient) -> list[dict[str, Any]]:
        files = [("images", (f"{i}.png", png(seed=i, width=500))) for i in range(4)]
        answer = client.post("/api/samples?page=false", files=files, data={"batch": "Hộp 1"})
        assert answer.status_code == 201, answer.text
        return list(answer.json()["lines"])

    def test_it_is_kept_and_checked(self, client: TestClient, kept: list[dict[str, Any]]) -> None:
        assert client.get("/api/batches").json()[0] | {"changed": 0} == {
            "name": "Hộp 1", "lines": 4, "checked": 0, "doubtful": 4, "changed": 0,
        }  # fmt: skip
        assert client.get("/api/statistics").json()["corrections"] == 0, "nobody has checked them"
        assert correct(client, png(seed=1, width=500), "Hà Nội").json()["new"] is False
        put = client.put(f"/api/samples/{kept[2]['id']}", json={"text": "Huế"})
        assert (put.status_code, put.json()["checked"], put.json()["read_text"]) == (200, True, kept[2]["text"])
        assert client.get("/api/batches").json()[0]["checked"] == 2
        assert client.get("/api/statistics").json()["corrections"] == 2
        again = client.post(
            "/api/samples?page=false", files=[("images", ("1.png", png(seed=1, width=500)))], data={"batch": "Hộp 1"}
        ).json()["lines"][0]
        assert (again["checked"], again["kept_text"]) == (True, "Hà Nội"), "what was checked stays so"

    def test_it_is_found(self, client: TestClient, kept: list[dict[str, Any]]) -> None:
        client.put(f"/api/samples/{kept[0]['id']}", json={"text": "Đường Lê Lợi 100%"})

        def find(**asked: Any) -> list[str]:
            answer = client.get("/api/samples", params=asked)
            assert answer.status_code == 200, answer.text
            return [sample["id"] for sample in answer.json()["samples"]]

        ids = [line["id"] for line in kept]
        assert find() == ids[::-1]
        assert find(search="đường lê") == find(search="100%") == find(state="checked") == ids[:1]
        assert find(search=decomposed("đường lê")) == find(search="đường lê"), "as some keyboards and systems type it"
        assert find(batch=decomposed("Hộp 1")) == ids[::-1]
        assert find(search="0_%") == find(batch="no") == []
        assert find(batch="Hộp 1", state="unchecked", most=2, start=1) == ids[2:0:-1]
        doubtful = find(order="doubtful")
        assert doubtful[-1] == ids[0], "what is checked comes last"
        sure = {line["id"]: line["confidence"] for line in kept}
        assert [sure[key] for key in doubtful[:3]] == sorted(sure[key] for key in doubtful[:3])
        for bad in ({"order": "x"}, {"most": 0}, {"start": -1}, {"search": "x" * 400}):
            assert client.get("/api/samples", params=bad).status_code == 422

    def test_it_is_taken_away(self, client: TestClient, kept: list[dict[str, Any]], tmp_path: Path) -> None:
        client.put(f"/api/samples/{kept[0]['id']}", json={"text": '=HYPERLINK("x")'})
        client.put(f"/api/samples/{kept[1]['id']}", json={"text": 'Ấp 5, "Mỹ"'})

        def take(format: str) -> bytes:
            answer = client.get("/api/samples/export", params={"format": format, "batch": "Hộp 1"})
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''H%E1%BB%99p%201.")
            return bytes(answer.content)

        rows = list(csv.DictReader(io.StringIO(take("csv").decode("utf-8-sig"))))
        assert [row["text"] for row in rows[:2]] == ['\'=HYPERLINK("x")', 'Ấp 5, "Mỹ"']
        assert [row["checked"] for row in rows] == ["True", "True", "False", "False"]
        cells = list(openpyxl.load_workbook(io.BytesIO(take("xlsx"))).active.iter_rows())
        assert (cells[1][4].value, cells[1][4].data_type) == ('=HYPERLINK("x")', "s"), "a text, no formula"
        objects = [json.loads(line) for line in take("jsonl").decode().splitlines()]
        assert [o["id"] for o in objects] == [line["id"] for line in kept]
        with zipfile.ZipFile(io.BytesIO(take("training"))) as archive:
            archive.extractall(tmp_path / "training")
        lines = read_labels_tsv(tmp_path / "training")
        assert [line.text for line in lines] == ['=HYPERLINK("x")', 'Ấp 5, "Mỹ"'], "what nobody checked teaches nothing"
        assert read_image(lines[0].path).shape == (40, 500)
        assert client.get("/api/samples/export?format=doc").status_code == 422

    def test_nothing_stays_behind_of_what_is_taken_away(
        self, client: TestClient, kept: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever part of it is asked for, as by a download that goes on."""
        (tmp_path / "passing").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "passing"))
        for part, status in (("bytes=0-9", 206), ("bytes=99999-", 416), ("bytes=x", 400)):
            assert client.get("/api/samples/export", headers={"range": part}).status_code == status
        assert not list((tmp_path / "passing").iterdir())

    def test_what_is_deleted_while_it_is_taken_away_is_left_out(
        self, client: TestClient, service: Service, kept: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for line in kept:
            client.put(f"/api/samples/{line['id']}", json={"text": "Huế"})
        samples = service.store.samples()
        monkeypatch.setattr(service.store, "each_sample", lambda wanted: iter(samples))
        client.delete(f"/api/samples/{kept[1]['id']}")
        with zipfile.ZipFile(io.BytesIO(client.get("/api/samples/export?format=training").content)) as archive:
            assert len(archive.namelist()) == 4, "three pictures and their labels"
            assert len(archive.read("labels.tsv").splitlines()) == 3

    def test_pages_are_taken_away_with_their_layout(self, halving: TestClient) -> None:
        page = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
        sent = {"images": ("tờ 1.png", png(page))}
        lines = halving.post("/api/samples", files=sent, data={"batch": "Hộp 2"}).json()["lines"]
        halving.put(f"/api/samples/{lines[1]['id']}", json={"text": "Huế & Đà Nẵng"})
        answer = halving.get("/api/samples/export", params={"format": "alto", "batch": "Hộp 2"})
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == ["0001-tờ_1_png-1.xml"]
            root = ElementTree.fromstring(archive.read(archive.namelist()[0]))
        space = "{http://www.loc.gov/standards/alto/ns-v4#}"
        strings = [(e.get("CONTENT"), e.get("VPOS")) for e in root.iter(f"{space}String")]
        assert strings == [(lines[0]["text"], "0"), ("Huế & Đà Nẵng", "150")]
        sheet = next(root.iter(f"{space}Page"))
        assert (sheet.get("WIDTH"), sheet.get("HEIGHT")) == ("400", "300")

    def test_a_deleted_line_that_is_saved_from_its_card_stands_on_its_page(self, halving: TestClient) -> None:
        """Its card was still open when it was deleted in the list of kept lines. In another batch it is new."""
        page = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
        sent = {"images": ("tờ 1.png", png(page))}
        lines = halving.post("/api/samples", files=sent, data={"batch": "Hộp 2"}).json()["lines"]

        def stands(line: dict[str, Any], batch: str) -> Any:
            halving.delete(f"/api/samples/{line['id']}")
            image = {"image": ("tờ 1.png", base64.b64decode(line["image"].partition("base64,")[2]))}
            done = halving.post("/api/corrections", files=image, data={"text": "Huế", "batch": batch})
            assert (done.status_code, done.json()["id"]) == (201, line["id"])
            listed = halving.get("/api/samples").json()["samples"]
            return next(sample["page"] for sample in listed if sample["id"] == line["id"])

        before = {sample["id"]: sample["page"] for sample in halving.get("/api/samples").json()["samples"]}
        assert before[lines[0]["id"]] and stands(lines[0], "Hộp 2") == before[lines[0]["id"]]
        assert stands(lines[1], "Hộp 3") is None

    def test_no_box_of_a_layout_is_outside_of_its_page(self, service: Service) -> None:
        """A line that touches the edge of a photograph is found a little beyond it."""
        page = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
        corners = np.array([[-2.4, -3.0], [402.0, -3.0], [402.0, 301.0], [-2.4, 301.0]])
        client = TestClient(
            build_app(service, find_lines=lambda image: [PageLine((0, 0, 400, 300), corners, image)]), base_url=HOST
        )
        client.post("/api/samples?page=true", files={"images": ("tờ 1.png", png(page))}, data={"batch": "Hộp 2"})
        answer = client.get("/api/samples/export", params={"format": "alto"})
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            root = ElementTree.fromstring(archive.read(archive.namelist()[0]))
        placed = [[e.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] for e in root.iter() if e.get("HPOS")]
        assert placed == [["0", "0", "400", "300"]] * 4, "the page, its block, the line and its text"

    def test_a_line_of_a_page_is_known_again_when_its_text_comes(self, halving: TestClient) -> None:
        """Also a faint one, which is made clearer when it is read and when its picture comes back."""
        clear = np.full((150, 400), 230, np.uint8)
        for left in range(20, 350, 14):
            cv2.line(clear, (left, 100), (left + 9, 50), 30, 3)
        page = np.vstack([clear, np.where(clear < 99, 215, 230)])
        lines = halving.post("/api/samples", files={"images": ("a.png", png(page))}, data={"batch": "Hộp 2"}).json()
        for line in lines["lines"]:
            image = {"image": ("a.png", base64.b64decode(line["image"].partition("base64,")[2]))}
            done = halving.post("/api/corrections", files=image, data={"text": "Huế", "batch": "Hộp 2"})
            assert (done.status_code, done.json()["id"]) == (200, line["id"])

    def test_pages_of_one_name_stay_apart_and_a_box_belongs_to_its_page(self, halving: TestClient) -> None:
        """Telephones call every photograph image.jpg; pages of a PDF come back as pictures with boxes."""

        def take() -> list[tuple[str, int]]:
            answer = halving.get("/api/samples/export", params={"format": "alto"})
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                return [(name, archive.read(name).count(b"<String")) for name in archive.namelist()]

        rng = np.random.default_rng(0)
        for _ in range(2):
            photo = rng.integers(0, 255, (300, 400), dtype=np.uint8)
            halving.post("/api/samples", files={"images": ("image.jpg", png(photo))}, data={"batch": "Hộp 3"})
        assert take() == [("0001-image_jpg-1.xml", 2), ("0002-image_jpg-1.xml", 2)]
        stream, sheets = io.BytesIO(), [Pillow.fromarray(rng.integers(0, 255, (300, 400), np.uint8)) for _ in range(2)]
        sheets[0].save(stream, "PDF", save_all=True, append_images=sheets[1:])
        sent = {"images": ("tờ.pdf", stream.getvalue())}
        second = halving.post("/api/samples", files=sent, data={"batch": "Hộp 3"}).json()["pages"][1]
        shown = base64.b64decode(second["image"].partition("base64,")[2])

        def box(sheet: Any) -> Any:
            fields = {"batch": "Hộp 3", "boxes": "[[[0,0],[99,0],[99,50],[0,50]]]", "sheet": json.dumps(sheet)}
            return halving.post("/api/samples", files={"images": ("tờ.pdf", shown)}, data=fields)

        assert box({key: second[key] for key in ("number", "id")}).status_code == 201
        assert take()[2:] == [("0003-tờ_pdf-1.xml", 2), ("0004-tờ_pdf-2.xml", 3)]
        malformed: list[Any] = [
            [],
            {"number": 1},
            {"number": 0, "id": second["id"]},
            {"number": 1, "id": "../x"},
            {"number": 1, "id": 2},
        ]
        for bad in malformed:
            assert (box(bad).status_code, box(bad).json()["error"][:6]) == (422, "sheet:"), bad

    def test_it_is_deleted_and_comes_back(
        self, client: TestClient, service: Service, kept: list[dict[str, Any]]
    ) -> None:
        key = kept[3]["id"]
        client.put(f"/api/samples/{key}", json={"text": "Huế"})
        before = client.get("/api/statistics").json()
        assert client.get(f"/api/samples/{key}/image").headers["content-type"] == "image/png"
        assert client.delete(f"/api/samples/{key}").status_code == 200
        assert not service.samples.picture(key).exists()
        assert client.get(f"/api/samples/{key}/image").status_code == 404
        assert client.delete(f"/api/samples/{key}").status_code == 404
        assert client.get("/api/statistics").json()["corrections"] == 0
        assert service.samples.recover() == 0
        assert client.post(f"/api/samples/{key}/restore").json()["text"] == "Huế"
        assert client.get("/api/statistics").json() == before
        assert client.get(f"/api/samples/{key}/image").status_code == 200
        assert client.post(f"/api/samples/{key}/restore").json()["text"] == "Huế"
        assert client.post(f"/api/samples/{'0' * 64}/restore").status_code == 404

    def test_it_is_gone_after_a_day(self, client: TestClient, service: Service, kept: list[dict[str, Any]]) -> None:
        now = time.time()

        def delete_yesterday(key: str) -> None:
            client.delete(f"/api/samples/{key}")
            for path in service.samples.deleted.iterdir():
                os.utime(path, (0, 0))

        delete_yesterday(kept[0]["id"])
        assert client.post(f"/api/samples/{kept[0]['id']}/restore").status_code == 404
        delete_yesterday(kept[1]["id"])
        service.samples.clock = lambda: now + 600
        client.put(f"/api/samples/{kept[2]['id']}", json={"text": "Huế"})
        assert not list(service.samples.deleted.iterdir()), "whatever is changed some minutes later"
        delete_yesterday(kept[2]["id"])
        Samples(service.samples.folder, service.store).recover()
        assert not list(service.samples.deleted.iterdir()), "or at the next start"

    def test_what_was_deleted_is_not_looked_through_for_every_line(
        self, client: TestClient, service: Service, kept: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, glob = [], Path.glob

        def look(path: Path, pattern: str) -> Any:
            looks.append(path)
            return glob(path, pattern)

        monkeypatch.setattr(Path, "glob", look)
        for line in kept:
            client.put(f"/api/samples/{line['id']}", json={"text": "Huế"})
        assert looks.count(service.samples.deleted) <= 1

    def test_a_crash_between_a_file_and_its_row_loses_no_text(
        self, settings: ServiceSettings, client: TestClient, service: Service, kept: Any, monkeypatch: Any
    ) -> None:
        def crash(sample: Any) -> None:
            raise KeyboardInterrupt

        client.put(f"/api/samples/{kept[0]['id']}", json={"text": "Huê"})
        monkeypatch.setattr(service.store, "save_sample", crash)
        for change in (
            lambda: service.samples.retype(kept[0]["id"], "Huế"),
            lambda: service.samples.correct(decode(png(seed=1, width=500)), "Hà Nội"),
        ):
            with pytest.raises(KeyboardInterrupt):
                change()
        service.close()
        again = Service(settings)
        listed = TestClient(guarded(again), base_url=HOST).get("/api/samples?order=oldest&state=checked").json()
        assert [sample["text"] for sample in listed["samples"]] == ["Huế", "Hà Nội"]
        assert again.store.count_samples()[0] == 2 and again.samples.recover() == 0
        again.close()

    def test_a_deletion_or_its_undoing_that_was_broken_off_can_be_undone(
        self, settings: ServiceSettings, client: TestClient, service: Service, kept: Any
    ) -> None:
        """One of the two files was moved."""
        key = kept[1]["id"]
        client.delete(f"/api/samples/{key}")
        (service.samples.deleted / f"{key}.png").replace(service.samples.picture(key))
        service.close()
        again = Service(settings)
        client = TestClient(guarded(again), base_url=HOST)
        assert client.post(f"/api/samples/{key}/restore").status_code == 200
        assert client.get(f"/api/samples/{key}/image").status_code == 200
        again.close()

    @pytest.mark.parametrize("full", ["netchu.serve.samples.write_json", "netchu.serve.store.Store.save_sample"])
    def test_a_deletion_is_undone_when_the_disk_has_room_again(
        self, full: str, client: TestClient, service: Service, kept: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any) -> None:
            raise NetchuError("no space left")

        key = kept[1]["id"]
        client.delete(f"/api/samples/{key}")
        with monkeypatch.context() as patched:
            patched.setattr(full, fail)
            assert client.post(f"/api/samples/{key}/restore").status_code == 500
        assert client.post(f"/api/samples/{key}/restore").status_code == 200
        assert client.get(f"/api/samples/{key}/image").status_code == 200
        assert service.samples.recover() == 0 and not list(service.samples.deleted.iterdir())

    def test_a_lost_database_knows_the_batch(self, settings: ServiceSettings, service: Service, kept: Any) -> None:
        before = [sample.to_dict() for sample in service.store.samples()]
        service.close()
        for path in settings.data.glob("service.sqlite*"):
            path.unlink()
        other = Service(settings)
        assert [sample.to_dict() for sample in other.store.samples()] == before
        other.close()


def test_a_long_name_is_composed_before_it_is_cut(client: TestClient, service: Service) -> None:
    """As a Mac writes it, it has a code point for each mark."""
    name = "Sổ đăng ký hộ khẩu thường trú, phường Bến Thành, quận 1, quyển thứ 3.png"
    image = {"image": (decomposed(name), png())}
    client.post("/api/corrections", files=image, data={"text": "Huế"})
    assert service.store.samples()[-1].name == name[-60:]


def test_fields_are_bounded_and_checked(client: TestClient, service: Service) -> None:
    assert correct(client, png(), "Hà\u00a0Nội", read_text="Ha\u202fNoi", version=1).json()["text"] == "Hà Nội"
    assert service.store.samples()[0].read_text == "Ha Noi"
    for fields, said in (
        ({"read_text": "x" * 400}, "read_text: 400 characters"),
        ({"read_text": "a\x1b"}, "read_text: holds control characters"),
        ({"version": "7"}, "version: there is no version 7"),
        ({"version": "x"}, "version: expected a number"),
        ({"batch": "a\nb"}, "batch: expected up to 80 characters"),
    ):
        answer = correct(client, png(seed=3), "a", **fields)
        assert answer.status_code == 422 and said in answer.json()["error"], fields
    body = b'--x\r\ncontent-disposition: form-data; name="text"\r\n\r\n\xff\xfe\r\n--x\r\n'
    body += b'content-disposition: form-data; name="image"; filename="a"\r\n\r\n' + png() + b"\r\n--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x; charset=latin-1"}
    for charset in ("utf-16", "undefined"):  # the form is UTF-8 all the same, also where Python refuses to decode
        sound = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
        answer = client.post("/api/corrections", content=body.replace(b"\xff\xfe", "Hà Nội".encode()), headers=sound)
        assert answer.json()["text"] == "Hà Nội"
    broken = client.post("/api/corrections", content=body, headers=headers)
    assert (broken.status_code, broken.json()["error"]) == (400, "text: is no sound UTF-8 (invalid start byte)")
    assert len(service.store.samples()) == 1


def test_malformed_json_says_what_is_wrong_in_words(client: TestClient) -> None:
    answer = client.post("/api/retrain", content=b'{"epochs": }', headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"] == "the body of the request is no JSON: Expecting value (at character 11)"


def test_an_older_database_is_taken_over(settings: ServiceSettings) -> None:
    """Its tables lack the newer columns and have no sums."""
    service = Service(settings)
    client = TestClient(guarded(service), base_url=HOST)
    for seed in range(3):
        correct(client, png(seed=seed), "Huế", read_text="Huê", version=1)
    expected = client.get("/api/statistics").json()
    service.close()
    with closing(sqlite3.connect(settings.data / DATABASE)) as database:
        database.execute("DROP INDEX ix_samples_batch")
        for column in ("checked", "confidence", "accept", "batch", "name", "page", "folded"):
            database.execute(f"ALTER TABLE samples DROP COLUMN {column}")
        database.execute("ALTER TABLE jobs DROP COLUMN wanted")
        database.execute("DELETE FROM sums")
        database.commit()
    service = Service(settings)
    client = TestClient(guarded(service), base_url=HOST)
    assert client.get("/api/statistics").json() == expected
    found = client.get("/api/samples", params={"search": "huế"}).json()["samples"]
    assert [s["checked"] for s in found] == [True] * 3
    service.close()


def test_too_much_is_refused_by_numbers(client: TestClient) -> None:
    many = recognise(client, *[png(width=20)] * 65)
    assert many.status_code == 400
    assert "64" in many.json()["error"]
    large = recognise(client, b"x" * 500_000)
    assert (large.status_code, large.json()["error"]) == (
        413,
        "the request is too large; at most 400,000 bytes are taken",
    )

    def endless() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="images"; filename="a"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 10_000

    chunked = client.post(
        "/api/recognise", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert chunked.status_code == 413


class TestToken:
    """With a token, whatever changes state needs it; reading does not."""

    @pytest.fixture
    def settings(self, tmp_path: Path, tiny_bundle: Path) -> ServiceSettings:
        return ServiceSettings(data=tmp_path / "service", bundles=[tiny_bundle], token=TOKEN)

    @pytest.mark.parametrize(
        "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
    )
    def test_without_it_nothing_changes(self, service: Service, given: str | None) -> None:
        client = TestClient(guarded(service, loopback=False), base_url="http://reader.example")
        headers = {} if given is None else {b"authorization": given.encode("latin-1")}
        for path in ("/api/samples", "/api/samples/export", "/api/batches", f"/api/samples/{'0' * 64}/image"):
            assert client.get(path, headers=headers).status_code == 401, path
        for path in (
            "/api/samples",
            "/api/corrections",
            "/api/retrain",
            "/api/retrain/1/cancel",
            "/api/retrain/1/continue",
            "/api/models/1/promote",
        ):
            answer = client.post(path, headers=headers, files={"image": png()}, data={"text": "a"})
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
        assert service.store.count_samples() == (0, 0, 0)
        assert recognise(client, png()).status_code == 200
        assert client.get("/api/about").json()["token"] is True

    def test_with_it_all_goes(self, service: Service) -> None:
        client = TestClient(guarded(service, loopback=False), base_url="http://reader.example")
        client.headers["authorization"] = f"Bearer {TOKEN}"
        assert correct(client, png(), "Huế").status_code == 201
        assert client.post("/api/models/1/promote").status_code == 200


def test_other_sites_get_nothing(client: TestClient, service: Service) -> None:
    foreign = client.post("/api/models/1/promote", headers={"origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    own = client.post("/api/models/1/promote", headers={"origin": HOST})
    assert own.status_code == 200
    asked = client.options(
        "/api/retrain", headers={"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    )
    assert asked.status_code >= 400
    assert not any(name.startswith("access-control") for name in asked.headers)
    rebound = client.get("/api/models", headers={"host": "elsewhere.example"})
    assert rebound.status_code == 403
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_many_images_have_no_more_pixels_than_one_may(settings: ServiceSettings) -> None:
    service = Service(replace(settings, limits=UploadLimits(pixels=10_000)))
    try:
        client = TestClient(guarded(service), base_url=HOST)
        assert recognise(client, png(seed=1)).status_code == 200
        answer = recognise(client, *[png(seed=i) for i in range(9)])
        assert answer.status_code == 413 and "over 10,000 pixels; send fewer" in answer.json()["error"]
    finally:
        service.close()


@pytest.mark.parametrize("headers", [{"host": "["}, {"origin": "http://["}])
def test_headers_that_are_no_addresses_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/models/1/promote", headers=headers)
    assert answer.status_code == 403 and answer.json()["error"]


def test_a_full_queue_answers_503_with_a_time(settings: ServiceSettings) -> None:
    service = Service(replace(settings, queue=3))
    try:
        client = TestClient(guarded(service), base_url=HOST)
        never = recognise(client, *[png(seed=i) for i in range(4)])
        assert (never.status_code, never.json()["error"]) == (413, "4 lines in one request; at most 3 are taken")
        assert recognise(client, png()).status_code == 200
        service.batcher.capacity = 0
        unread = recognise(client, b"no image: who has no time to read does not unpack either")
        assert unread.status_code == 503
        service.batcher.capacity = 3
        shut = TestClient(guarded(service, most=0), base_url=HOST)
        busy = recognise(shut, png())
        assert busy.status_code == 503
        assert int(busy.headers["retry-after"]) >= 1
        assert shut.get("/healthz").status_code == 200
    finally:
        service.close()

"""The service over HTTP: routes, their parameters, their JSON; and the web page's files.

Requests bring images as multipart files. Every error is {"error": "one sentence", "code": "a word"} with a status of
its own.
"""

import asyncio
import base64
import logging
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import cv2
from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from netchu.core.images import Image, on_paper
from netchu.serve.batching import OverloadError, VersionedReading
from netchu.serve.exports import FORMATS
from netchu.serve.forms import Form, read_form
from netchu.serve.layout import SPLITS, FindLines, Piece, Sheet, parse_boxes, parse_sheet, take_apart
from netchu.serve.replies import PassingFile, StoredFile, add_errors, add_page
from netchu.serve.samples import Origin, check_name
from netchu.serve.service import Service
from netchu.serve.store import Wanted
from netchu.serve.telemetry import CONTENT_TYPE
from netchu.serve.uploads import RefusalError, decode_pages, decode_upload, encode_png

AT_ONCE = 64  # lines of a request that are in the queue together
MOST_LISTED = 200  # samples of one answer
Key = Annotated[int, Field(ge=1, le=2**31)]
SampleKey = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Retrain(BaseModel, extra="forbid"):
    """Body of POST /api/retrain; the learning rate 0 is chosen from the version's own."""

    epochs: Annotated[int, Field(ge=1, le=100)] = 6
    lr: Annotated[float, Field(ge=0, le=0.1)] = 0.0


class Text(BaseModel, extra="forbid"):
    """Body of PUT /api/samples/ID."""

    text: str


class Name(BaseModel, extra="forbid"):
    """Body of PUT /api/models/VERSION."""

    name: str


class Listed(Wanted):
    """Parameters of GET /api/samples."""

    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    most: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 50


class Exported(Wanted):
    """Parameters of GET /api/samples/export."""

    format: str = "csv"


def build_app(service: Service, *, find_lines: FindLines | None = None) -> FastAPI:
    """The application of a service. `find_lines` finds the lines on a picture of a page."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(title="netchu", lifespan=lifespan, docs_url=None, redoc_url=None)
    add_errors(app)
    add_page(app)
    limits = service.settings.limits

    async def unpack(form: Form, split: str) -> tuple[list[Sheet], list[Piece]]:
        """The sheets and lines of a request's files, in their order."""
        if not form.files:
            raise RefusalError(400, "no file in the request; send the images as multipart files named images")
        if find_lines is None and split != "false":
            raise RefusalError(422, f"page={split}: this service reads single lines only")
        if "boxes" in form.words and len(form.files) != 1:
            raise RefusalError(422, "boxes: send one picture with them")
        sheets: list[Sheet] = []
        pieces: list[Piece] = []
        left = limits.pixels
        for name, file in form.files:
            upload = await run_in_threadpool(decode_pages, await file.read(), limits, name)
            left -= sum(image.size for image in upload.pages)
            if left < 0:
                said = f"{name}: with it the images have over {limits.pixels:,} pixels; send fewer"
                raise RefusalError(413, said, "pixels_many")
            boxes = parse_boxes(form.words["boxes"], upload) if "boxes" in form.words else None
            known = parse_sheet(form.words["sheet"]) if boxes is not None and "sheet" in form.words else None
            made = await run_in_threadpool(
                take_apart, upload, name, split, boxes, find_lines or (lambda image: []), known
            )
            sheets += made[0]
            pieces += made[1]
        if split == "true" and not pieces:
            said = "no line of writing was found on the page; send its lines one by one"
            raise RefusalError(422, said, "no_line")
        return sheets, pieces

    async def read(pieces: list[Piece]) -> list[VersionedReading | None]:
        """The answers of all lines; None for one that could not be read. Raises OverloadError."""
        answers: list[VersionedReading | None] = []
        if len(pieces) > service.batcher.capacity and not any(piece.sheet for piece in pieces):
            said = f"{len(pieces)} lines in one request; at most {service.batcher.capacity} are taken"
            raise RefusalError(413, said)
        size = min(AT_ONCE, max(1, service.batcher.capacity))
        for start in range(0, len(pieces), size):
            images = [on_paper(piece.image) for piece in pieces[start : start + size]]
            waiting = service.batcher.submit(images, service.settings.timeout)
            try:
                answers += await asyncio.gather(*map(_settled, waiting))
            except OverloadError:
                for future in waiting:  # the request is lost, so its other lines need not be read
                    future.cancel()
                raise
        return answers

    async def recognise_form(request: Request, split: str, batch: str | None) -> dict[str, Any]:
        if split not in SPLITS:
            raise RefusalError(422, f"page={split}: expected {', '.join(SPLITS)}")
        service.batcher.refuse_overload()  # before the work of unpacking images that nobody has time to read
        async with read_form(request, limits) as form:
            if batch is not None:
                batch = check_name(form.words.get("batch", ""), "batch")
                if not batch:
                    raise RefusalError(422, "batch: expected the name of the batch")
            sheets, pieces = await unpack(form, split)
        answers = await read(pieces)
        lines = [
            _line(answer, piece, sheets, whole=split != "false") for answer, piece in zip(answers, pieces, strict=True)
        ]
        if batch is not None:
            for line, answer, piece in zip(lines, answers, pieces, strict=True):
                if answer is not None:
                    origin = Origin(batch=batch, name=check_name(piece.name, "file"), page=piece.place())
                    kept = await run_in_threadpool(
                        service.samples.keep, piece.image, answer.reading, answer.version, origin
                    )
                    line |= {"id": kept.id, "checked": kept.checked, "kept_text": kept.text}
        made = await run_in_threadpool(lambda: [_sheet(sheet) for sheet in sheets])
        return {"version": service.active, "lines": lines, "pages": made}

    @app.post("/api/recognise")
    async def recognise(request: Request, page: str = "false") -> dict[str, Any]:
        """Text, confidence and alternatives of every line: in order of the files."""
        return await recognise_form(request, page, None)

    @app.post("/api/samples", status_code=201)
    async def keep(request: Request, page: str = "auto") -> dict[str, Any]:
        """The same, and every line is kept in a batch for a person to check."""
        return await recognise_form(request, page, "")

    @app.get("/api/samples")
    def samples(wanted: Annotated[Listed, Query()]) -> dict[str, Any]:
        """Kept samples."""
        count, found = service.store.find_samples(wanted, wanted.start, wanted.most)
        return {"count": count, "samples": [sample.facts() for sample in found]}

    @app.get("/api/samples/export")
    def export(wanted: Annotated[Exported, Query()]) -> FileResponse:
        """Kept samples as a file, the oldest first."""
        if wanted.format not in FORMATS:
            raise RefusalError(422, f"format={wanted.format}: expected {', '.join(FORMATS)}")
        suffix, media_type, write = FORMATS[wanted.format]
        with tempfile.NamedTemporaryFile(suffix=f".{suffix}", delete=False) as stream:
            path = Path(stream.name)
        try:
            oldest_first = wanted.model_copy(update={"order": "oldest"})
            write(path, service.store.each_sample(oldest_first), service.samples)
        except BaseException:
            path.unlink()
            raise
        name = quote(f"{wanted.batch or 'netchu'}.{suffix}")
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
        return PassingFile(path, media_type=media_type, headers=headers)

    @app.get("/api/samples/{key}/image")
    def image(key: SampleKey) -> FileResponse:
        """The picture of a sample."""
        return StoredFile(service.samples.picture(service.samples.get(key).id), media_type="image/png")

    @app.put("/api/samples/{key}")
    def retype(key: SampleKey, body: Text) -> dict[str, Any]:
        """Another text for a kept sample."""
        return service.samples.retype(key, body.text).facts()

    @app.delete("/api/samples/{key}")
    def forget(key: SampleKey) -> dict[str, Any]:
        """Delete a sample with its picture."""
        service.samples.delete(key)
        return {"id": key, "deleted": True}

    @app.post("/api/samples/{key}/restore")
    def restore(key: SampleKey) -> dict[str, Any]:
        """Undo a deletion, for a day."""
        return service.samples.restore(key).facts()

    @app.get("/api/batches")
    def batches() -> list[dict[str, Any]]:
        """Every batch and how far it is."""
        return service.store.batches()

    @app.post("/api/corrections", status_code=201)
    async def correct(request: Request, response: Response) -> dict[str, Any]:
        """Keep one corrected line: a file, `text`, and what was read (`read_text`, `version`) if it was; perhaps
        its `batch`."""
        async with read_form(request, limits) as form:
            words = form.words
            if len(form.files) != 1 or "text" not in words:
                raise RefusalError(400, "a correction is one file named image and a field named text")
            name, file = form.files[0]
            image = await run_in_threadpool(decode_upload, await file.read(), limits, name)
        version = words.get("version", "")
        if version and not (version.isdecimal() and len(version) < 10):
            raise RefusalError(422, "version: expected a number")
        sample, is_new = await run_in_threadpool(
            service.samples.correct,
            image,
            words["text"],
            read_text=words.get("read_text"),
            version=int(version) if version else None,
            origin=Origin(batch=check_name(words.get("batch", ""), "batch"), name=check_name(name, "file")),
        )
        service.telemetry.corrections.labels(str(is_new).lower()).inc()
        response.status_code = 201 if is_new else 200
        return {"id": sample.id, "new": is_new, "text": sample.text}

    @app.get("/api/statistics")
    def statistics() -> dict[str, Any]:
        """What the corrections say so far."""
        return service.statistics()

    @app.post("/api/retrain", status_code=202)
    def retrain(settings: Retrain | None = None) -> dict[str, Any]:
        """Begin a retraining."""
        chosen = settings or Retrain()
        return service.jobs.describe(service.retrain(epochs=chosen.epochs, lr=chosen.lr))

    @app.get("/api/retrain")
    def jobs() -> list[dict[str, Any]]:
        """The last retrainings, the newest first, without their curves."""
        return [job.to_dict() for job in service.store.jobs()]

    @app.get("/api/retrain/{job}")
    def job_state(job: Key) -> dict[str, Any]:
        """One retraining with its progress and curves."""
        return service.jobs.describe(service.jobs.get(job))

    @app.post("/api/retrain/{job}/cancel")
    def cancel(job: Key) -> dict[str, Any]:
        """End a retraining for good."""
        return service.jobs.describe(service.jobs.cancel(job))

    @app.post("/api/retrain/{job}/continue", status_code=202)
    def go_on(job: Key) -> dict[str, Any]:
        """Go on with an interrupted retraining."""
        return service.jobs.describe(service.jobs.resume(job))

    @app.get("/api/models")
    def models() -> list[dict[str, Any]]:
        """All versions, the newest first."""
        return service.describe_versions()

    @app.post("/api/models/{version}/promote")
    def promote(version: Key) -> dict[str, Any]:
        """Put a version to service, a new or an old one."""
        service.promote(version)
        return {"version": service.active}

    @app.put("/api/models/{version}")
    def rename(version: Key, body: Name) -> dict[str, Any]:
        """Another name for a version."""
        name = check_name(body.name, "version")
        service.store.rename(service.versions.get(version).id, name)
        return {"version": version, "name": name}

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        """What a client has to know before it asks."""
        return {
            "token": bool(service.settings.token),
            "page": find_lines is not None,
            "version": service.active,
            "limits": asdict(limits),
        }

    @app.get("/healthz")
    def health() -> dict[str, Any]:
        """Whether the service reads."""
        return {"status": "ok", "version": service.active, "queue": len(service.batcher)}

    @app.get("/metrics")
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.telemetry.text(), media_type=CONTENT_TYPE)

    return app


async def _settled(waiting: "Future[VersionedReading]") -> VersionedReading | None:
    """A line's answer; None when reading it failed, which is logged and is nobody else's matter."""
    try:
        return await asyncio.wrap_future(waiting)
    except OverloadError:
        raise
    except Exception as error:
        logging.getLogger("netchu").exception("a line could not be read", exc_info=error)
        return None


def _line(answer: VersionedReading | None, piece: Piece, sheets: list[Sheet], *, whole: bool) -> dict[str, Any]:
    """A line as JSON; `whole`: whoever asks may have only the page, so the lines cut from it come along."""
    line: dict[str, Any] = {"size": [piece.image.shape[1], piece.image.shape[0]]}
    if piece.sheet is not None:
        line |= {"page": next(i for i, sheet in enumerate(sheets) if sheet is piece.sheet), "corners": piece.corners}
        if whole:
            line["image"] = f"data:image/png;base64,{base64.b64encode(encode_png(piece.image)).decode()}"
    if answer is None:
        failed = {"text": "", "confidence": 0.0, "accept": False, "characters": [], "alternatives": []}
        return failed | line | {"error": "this line could not be read; the service's log says why", "code": "unread"}
    reading = answer.reading
    return {
        "text": reading.text,
        "confidence": round(reading.confidence, 4),
        "accept": reading.accept,
        "characters": [asdict(character) for character in reading.characters],
        "alternatives": [asdict(guess) for guess in reading.lines],
        "version": answer.version,
        "seconds": round(answer.seconds, 4),
        **line,
    }


def _sheet(sheet: Sheet) -> dict[str, Any]:
    """A page as JSON, with its picture where browsers cannot show the file."""
    size = [sheet.image.shape[1], sheet.image.shape[0]]
    about = {"name": sheet.name, "number": sheet.number, "id": sheet.id, "size": size}
    if sheet.shown:
        return about
    return about | {"image": f"data:image/jpeg;base64,{_jpeg(sheet.image)}"}


def _jpeg(image: Image) -> str:
    return base64.b64encode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()).decode()

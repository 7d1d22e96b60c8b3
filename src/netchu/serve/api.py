"""The service over HTTP: routes, their parameters, their JSON; and the web page's files.

Requests bring images as multipart files. Every error is {"error": "one sentence"} with a status of its own.
"""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from netchu.core.preprocess import Image
from netchu.serve.batching import OverloadError, VersionedReading
from netchu.serve.replies import add_errors, add_page
from netchu.serve.service import Service
from netchu.serve.telemetry import CONTENT_TYPE
from netchu.serve.uploads import RefusalError, decode_upload, encode_png

FIELDS = 8  # form fields of a request
FIELD_BYTES = 10_000
Key = Annotated[int, Field(ge=1, le=2**31)]

CutPage = Callable[[Image], list[Image]]


class Retrain(BaseModel, extra="forbid"):
    """Body of POST /api/retrain; the learning rate 0 is chosen from the version's own."""

    epochs: Annotated[int, Field(ge=1, le=100)] = 6
    lr: Annotated[float, Field(ge=0, le=0.1)] = 0.0


def build_app(service: Service, *, cut_page: CutPage | None = None) -> FastAPI:
    """The application of a service. `cut_page` turns the image of a whole form into its lines (`?page=true`)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    app = FastAPI(title="netchu", lifespan=lifespan, docs_url=None, redoc_url=None)
    add_errors(app)
    add_page(app)
    limits = service.settings.limits

    @app.post("/api/recognise")
    async def recognise(request: Request, page: bool = False) -> dict[str, Any]:
        """Text, confidence and alternatives of every line: in order of the files."""
        service.batcher.refuse_overload()  # before the work of unpacking images that nobody has time to read
        if page and cut_page is None:
            raise RefusalError(422, "page=true: this service reads single lines only; cut the page into lines first")
        async with request.form(max_files=limits.files, max_fields=FIELDS, max_part_size=FIELD_BYTES) as form:
            uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            if not uploads:
                raise RefusalError(400, "no file in the request; send the images as multipart files named images")
            images, left = [], limits.pixels
            for upload in uploads:
                image = await run_in_threadpool(decode_upload, await upload.read(), limits, _name(upload))
                left -= image.size
                if left < 0:
                    raise RefusalError(
                        413, f"{_name(upload)}: with it the images have over {limits.pixels:,} pixels; send fewer"
                    )
                images.append(image)
        if page and cut_page is not None:
            images = [line for image in images for line in await run_in_threadpool(cut_page, image)]
            if not images:
                raise RefusalError(422, "no line of writing was found on the page; send its lines one by one")
        waiting = service.batcher.submit(images, service.settings.timeout)
        try:
            answers = await asyncio.gather(*map(_settled, waiting))
        except OverloadError:
            for future in waiting:  # the request is lost, so its other lines need not be read
                future.cancel()
            raise
        lines = [_line(answer, image) for answer, image in zip(answers, images, strict=True)]
        if page:
            for line, image in zip(lines, images, strict=True):
                line["image"] = _data_url(image)
        return {"version": service.active, "lines": lines}

    @app.post("/api/corrections", status_code=201)
    async def correct(request: Request, response: Response) -> dict[str, Any]:
        """Keep one corrected line: a file, `text`, and what was read (`read_text`, `version`) if it was."""
        async with request.form(max_files=1, max_fields=FIELDS, max_part_size=FIELD_BYTES) as form:
            uploads = [value for value in form.values() if isinstance(value, UploadFile)]
            words = {key: value for key, value in form.items() if isinstance(value, str)}
            if len(uploads) != 1 or "text" not in words:
                raise RefusalError(400, "a correction is one file named image and a field named text")
            image = await run_in_threadpool(decode_upload, await uploads[0].read(), limits, _name(uploads[0]))
        version = words.get("version", "")
        if version and not (version.isdecimal() and len(version) < 10):
            raise RefusalError(422, "version: expected a number")
        saved = await run_in_threadpool(
            service.corrections.add,
            image,
            words["text"],
            read_text=words.get("read_text"),
            version=int(version) if version else None,
        )
        service.telemetry.corrections.labels(str(saved.is_new).lower()).inc()
        response.status_code = 201 if saved.is_new else 200
        return {"id": saved.sample.id, "new": saved.is_new, "text": saved.sample.text}

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

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        """What a client has to know before it asks."""
        return {
            "token": bool(service.settings.token),
            "page": cut_page is not None,
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


def _name(upload: UploadFile) -> str:
    """A file's name for messages only: printable and short."""
    return "".join(c for c in upload.filename or "image" if c.isprintable())[-60:] or "image"


async def _settled(waiting: "Future[VersionedReading]") -> VersionedReading | None:
    """A line's answer; None when reading it failed, which is logged and is nobody else's matter."""
    try:
        return await asyncio.wrap_future(waiting)
    except OverloadError:
        raise
    except Exception as error:
        logging.getLogger("netchu").exception("a line could not be read", exc_info=error)
        return None


def _line(answer: VersionedReading | None, image: Image) -> dict[str, Any]:
    if answer is None:
        failed = {"text": "", "confidence": 0.0, "accept": False, "characters": [], "alternatives": []}
        return failed | {"error": "this line could not be read; the service's log says why", "size": _size(image)}
    reading = answer.reading
    return {
        "text": reading.text,
        "confidence": round(reading.confidence, 4),
        "accept": reading.accept,
        "characters": [asdict(character) for character in reading.characters],
        "alternatives": [asdict(guess) for guess in reading.lines],
        "version": answer.version,
        "seconds": round(answer.seconds, 4),
        "size": _size(image),
    }


def _size(image: Image) -> list[int]:
    return [image.shape[1], image.shape[0]]


def _data_url(image: Image) -> str:
    """A line cut from a page, for whoever has only the page."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(image)).decode()}"

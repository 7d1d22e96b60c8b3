"""What the service answers besides figures and texts: errors as JSON, and the files of the web page."""

import logging
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from netchu.core.errors import NetchuError
from netchu.serve.batching import OverloadError
from netchu.serve.uploads import RefusalError

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def add_page(app: FastAPI) -> None:
    """Serve the web page's files from memory, each on a route of its own: no request ever names a file to read."""

    def handler(content: bytes, media_type: str) -> Callable[[Request], Response]:
        return lambda request: Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    for file in (files("netchu.serve") / "web").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        app.add_route(path, handler(file.read_bytes(), TYPES[Path(file.name).suffix]))


def add_errors(app: FastAPI) -> None:
    """Every exception as JSON; an unforeseen one is logged and says no more than that it happened."""

    def reply(status: int, message: str, code: str = "", **headers: str) -> JSONResponse:
        content = {"error": message, **({"code": code} if code else {})}
        return JSONResponse(content, status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    @app.exception_handler(RefusalError)
    async def refused(request: Request, error: RefusalError) -> JSONResponse:
        return reply(error.status, error.message, error.code)

    @app.exception_handler(OverloadError)
    async def overloaded(request: Request, error: OverloadError) -> JSONResponse:
        return reply(503, str(error), retry_after=str(error.retry_after))

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return reply(400, "the sender hung up before the request was complete")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return reply(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            at, why = first["loc"][-1], first.get("ctx", {}).get("error", "damaged")
            return reply(422, f"the body of the request is no JSON: {why} (at character {at})")
        return reply(422, f"{'.'.join(str(part) for part in first['loc'][1:]) or 'request'}: {first['msg']}")

    @app.exception_handler(NetchuError)
    async def mistaken(request: Request, error: NetchuError) -> JSONResponse:
        logging.getLogger("netchu").error("%s", error)
        return reply(500, str(error))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        logging.getLogger("netchu").exception("unforeseen", exc_info=error)
        return reply(500, "the service failed at this; its log says why")

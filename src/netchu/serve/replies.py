"""What the service answers besides figures and texts: errors as JSON, files, the web page."""

import logging
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from netchu.core.errors import NetchuError
from netchu.serve.batching import OverloadError
from netchu.serve.uploads import RefusalError

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


CODES = {  # of errors that have no word of their own
    400: "malformed",
    401: "no_token",
    403: "forbidden",
    404: "not_found",
    405: "no_method",
    408: "late",
    409: "conflict",
    413: "too_large",
    416: "no_range",
    422: "invalid",
    500: "broken",
    503: "busy",
}


def error_reply(status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as every request gets it: one sentence for people, a word for programs."""
    return JSONResponse({"error": message, "code": code or CODES.get(status, "refused")}, status, headers)


class StoredFile(FileResponse):
    """A file; a part of it that it does not have is refused as everything else is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or the part of it that is asked for; raises RefusalError (400, 416)."""

        async def send_part(message: Message) -> None:
            if message.get("status", 0) >= 400:
                raise RefusalError(message["status"], "range: the file has no such part; ask for all of it")
            await send(message)

        await super().__call__(scope, receive, send_part)


class PassingFile(StoredFile):
    """A file that is deleted once it was sent, or could not be: a background task is left out where a range of it is
    asked for that it does not have."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            Path(self.path).unlink()


def add_page(app: FastAPI) -> None:
    """Serve the web page's files from memory, each on a route of its own: no request ever names a file to read."""

    def handler(content: bytes, media_type: str) -> Callable[[Request], Response]:
        return lambda request: Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    for file in (files("netchu.serve") / "web").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        app.add_route(path, handler(file.read_bytes(), TYPES[Path(file.name).suffix]))


def add_errors(app: FastAPI) -> None:
    """Every exception as JSON; an unforeseen one is logged and says no more than that it happened."""

    @app.exception_handler(RefusalError)
    async def refused(request: Request, error: RefusalError) -> JSONResponse:
        return error_reply(error.status, error.message, error.code)

    @app.exception_handler(OverloadError)
    async def overloaded(request: Request, error: OverloadError) -> JSONResponse:
        return error_reply(503, str(error), headers={"retry-after": str(error.retry_after)})

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return error_reply(400, "the sender hung up before the request was complete")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return error_reply(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            at, why = first["loc"][-1], first.get("ctx", {}).get("error", "damaged")
            return error_reply(422, f"the body of the request is no JSON: {why} (at character {at})")
        return error_reply(422, f"{'.'.join(str(part) for part in first['loc'][1:]) or 'request'}: {first['msg']}")

    @app.exception_handler(NetchuError)
    async def mistaken(request: Request, error: NetchuError) -> JSONResponse:
        logging.getLogger("netchu").error("%s", error)
        return error_reply(500, str(error))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        logging.getLogger("netchu").exception("unforeseen", exc_info=error)
        return error_reply(500, "the service failed at this; its log says why")

"""What stands before every request: who may ask, how much may be sent, how long it may take, how many at once.

Plain ASGI, so it sees a request before any of its body is read. Whatever changes state needs the token when there is
one, and never comes from another site's page. No CORS header is ever sent. A refusal looks like any other error.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netchu.serve.replies import error_reply
from netchu.serve.uploads import RefusalError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD")
READ_ONLY_POSTS = ("/api/recognise",)
PRIVATE = ("/api/samples", "/api/batches")  # what people wrote and typed, which nobody sees without the token
BODY_SECONDS = 30.0  # for a whole request to arrive
DRAIN_SECONDS = 5.0  # for the rest of a refused one, so that its sender gets to read the answer
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
SECURITY_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class RequestGuard:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        loopback: bool,
        request_bytes: int,
        most: int,
        retry_after: Callable[[], int],
        observe: Callable[[str, int, float], None],
    ) -> None:
        """`loopback`: bound to this machine only, so only its own names are answered (against DNS rebinding).
        `most`: requests at a time; `observe` gets route, status and seconds of each."""
        self.app, self.loopback, self.request_bytes, self.most = app, loopback, request_bytes, most
        self.retry_after, self.observe = retry_after, observe
        self.token = hashlib.sha256(token.encode()).digest() if token else b""
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
                if status >= 400:
                    await body.drain()
            await send(message)

        body = Body(receive, self.request_bytes, time.monotonic() + BODY_SECONDS)
        self.open += 1
        try:
            headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
            self.check(scope["method"], scope["path"], headers)
            await self.app(scope, body.receive, send_guarded)
        except RefusalError as refusal:
            further = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": str(self.retry_after())}}
            reply = error_reply(refusal.status, refusal.message, refusal.code, further.get(refusal.status))
            await reply(scope, receive, send_guarded)
        finally:
            self.open -= 1
            route = getattr(scope.get("route"), "path", "other")
            self.observe(route, status, time.monotonic() - began)

    def check(self, method: str, path: str, headers: dict[str, str]) -> None:
        """Raise RefusalError (401, 403, 413, 503) for a request that may not go on."""
        host = headers.get("host", "")
        if self.loopback and name_of(host) not in LOOPBACK:
            raise RefusalError(403, "this service answers to the names of its own machine only")
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > self.request_bytes:
            raise RefusalError(413, f"the request is too large; at most {self.request_bytes:,} bytes are taken")
        if method in SAFE:
            if path.startswith(PRIVATE):
                self.check_token(headers)
            return
        origin = headers.get("origin")
        if origin is not None and origin.partition("//")[2].lower() != host.lower():
            raise RefusalError(403, "requests from pages of other sites are refused")
        if path not in READ_ONLY_POSTS:
            self.check_token(headers)
        if self.open > self.most:
            raise RefusalError(503, "the service is busy; try again soon")

    def check_token(self, headers: dict[str, str]) -> None:
        """Raise RefusalError (401) for a request without the token, where there is one."""
        if not self.token:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(given.strip().encode("latin-1")).digest()
        if not hmac.compare_digest(digest, self.token) or scheme.lower() != "bearer":
            said = "this needs the token that the service was started with (Authorization: Bearer ...)"
            raise RefusalError(401, said)


class Body:
    """A request's body, counted and timed while it arrives."""

    def __init__(self, receive: Receive, limit: int, deadline: float) -> None:
        self._receive, self.limit, self.deadline = receive, limit, deadline
        self.bytes, self.complete = 0, False

    async def receive(self) -> Message:
        """The next part; raises RefusalError when the body grows too large (413) or comes too slowly (408)."""
        if self.complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self.deadline - time.monotonic()))
        except TimeoutError:
            self.complete = True
            raise RefusalError(408, f"the request did not arrive within {BODY_SECONDS:g} s") from None
        self.bytes += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.bytes > self.limit:
            raise RefusalError(413, f"the request is too large; at most {self.limit:,} bytes are taken")
        return message

    async def drain(self) -> None:
        """Read and forget what is still on its way, up to twice the limit and `DRAIN_SECONDS`."""
        self.deadline, self.limit = time.monotonic() + DRAIN_SECONDS, 2 * self.limit
        try:
            while not self.complete:
                await self.receive()
        except RefusalError:
            return


def name_of(host: str) -> str:
    """Host name of a Host header, without its port; nothing for one that is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""

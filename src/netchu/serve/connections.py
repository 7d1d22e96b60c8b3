"""Connections of strangers: how many there may be, and how long one may take to say what it wants.

uvicorn bounds requests and idle connections, but neither how many connections stand open nor the time of a header that
comes drop by drop. `BoundedProtocol` adds both. When every place is taken, the connection that has waited longest
without a whole header gives way, so that half-sent requests cannot shut anybody out.
"""

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from netchu.serve.replies import error_reply

MOST = 256  # connections at a time
HEADER_SECONDS = 10.0  # for the header of a request to arrive
HEADER_BYTES = 32_768


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a bound on connections and on the time of a header."""

    most: ClassVar[int] = MOST
    header_seconds: ClassVar[float] = HEADER_SECONDS
    late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, at the cost of another one when there is no place."""
        if len(self.connections) >= self.most:
            waiting = [c for c in self.connections if isinstance(c, BoundedProtocol) and c.late is not None]
            oldest = min(waiting, key=lambda c: c.late.when(), default=None)  # type: ignore[union-attr]
            if oldest is None:  # all of them are being answered
                transport.abort()
                self.transport = transport
                return
            oldest.give_up()
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unwatch()
        if self.flow is not None:  # else it was never taken
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and watch the time while a header is incomplete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self.late is None and self.conn.trailing_data[0]:
            self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as any other request is refused."""
        reply = error_reply(400, f"the request cannot be read ({msg.rstrip('.')})")
        headers = [*reply.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=bytes(reply.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def give_up(self) -> None:
        """Close a connection whose header has not come."""
        self._unwatch()
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        self.late = self.loop.call_later(self.header_seconds, self.give_up)

    def _unwatch(self) -> None:
        if self.late is not None:
            self.late.cancel()
            self.late = None


def server_options() -> dict[str, Any]:
    """Options of `uvicorn.Config` for a service that strangers can reach."""
    return {
        "http": BoundedProtocol,
        "loop": "asyncio",
        "h11_max_incomplete_event_size": HEADER_BYTES,
        "timeout_keep_alive": 10,
        "timeout_graceful_shutdown": 30,
        "server_header": False,
        "log_level": "warning",
    }

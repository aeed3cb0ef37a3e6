"""TCP connections that cannot be held open for nothing, which uvicorn leaves to a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from onnx_reciprocam.serving.settings import Settings

ABORT = "onnx_reciprocam.abort"
"""Extension of the scope: ends the connection without waiting for the client to take what was sent."""

_MOST_HEAD = 65_536
"""Bytes of a request's line and headers."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
    b'content-length: 46\r\n\r\n{"error":"too many connections are open here"}'
)
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 42\r\n\r\n{"error":"the head is above 65,536 bytes"}'
)


class _Connection(HttpToolsProtocol):
    """A request's head has to arrive in time; between two requests, uvicorn's own timer for idle connections runs.

    Attributes:
        settings: The limits.
    """

    settings: ClassVar[Settings]
    _head = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse what is too much."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            self._refuse(_FULL)
        else:
            self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes, which are of a head until it is whole."""
        if self._in_head:
            self._time_head()
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > _MOST_HEAD and not self.transport.is_closing():
            self._refuse(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head is whole; the body has a time limit of its own."""
        self._in_head = False
        self._stop_timer()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # an extension of ours
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What follows is another head."""
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn, but a connection that ends here does end."""
        super().on_response_complete()
        self._abort_later()

    def shutdown(self) -> None:
        """As uvicorn, but not for ever."""
        super().shutdown()
        self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """As uvicorn, but not for ever."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _abort_later(self) -> None:
        """A client that does not take the last answer keeps a closed connection for good."""
        if self.transport.is_closing():
            self.loop.call_later(self.settings.client_timeout, self.transport.abort)

    def _time_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.settings.client_timeout, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, answer: bytes) -> None:
        self._stop_timer()
        self.transport.write(answer)
        self.transport.close()
        self._abort_later()


def connection_class(settings: Settings) -> type[HttpToolsProtocol]:
    """A protocol for uvicorn: heads have to arrive in ``client_timeout``, and ``max_connections`` are open at once."""
    return type("Connection", (_Connection,), {"settings": settings})


def raise_file_limit(wanted: int) -> None:
    """As many open files as the connections need, where the system's hard limit allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit: Any = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

"""uvicorn's HTTP, with limits for the head of a request: ``uvicorn --http chatflow.door:Door``.

uvicorn itself waits for a head as long as a client likes, and keeps as much of it as the client
sends. A body's limits are serving/site.py's.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Within so many seconds a head must have arrived, and so many bytes may be in it.
HEAD_SECONDS = 10.0
HEAD_BYTES = 65536
TOO_LARGE = "The head of the request is too large."


class Door(HttpToolsProtocol):
    """A connection: of one request after the other, it takes the head, then hands it on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        waiting = self._waiting
        super().data_received(data)
        # Bytes that end one request and begin the next one aren't counted.
        if waiting is not None and waiting is self._waiting and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._waiting is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._has_head()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            # uvicorn answers 400.
            raise ValueError(TOO_LARGE)
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _has_head(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

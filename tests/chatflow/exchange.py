"""A client of an ASGI application in the same process, which reads streams as they come."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

from chatflow.wire.asgi_types import Application, AsgiMessage

SECONDS = 10.0


class Exchange:
    """One request and its answer.

    Used as a context manager it runs the application until the block ends, then hangs up.
    """

    def __init__(
        self,
        application: Application,
        path: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | list[bytes] = b"",
    ) -> None:
        path, _, query = path.partition("?")
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (b"host", b"testserver"),
                *((k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()),
            ],
            "client": ("127.0.0.1", 50000),
            "server": ("testserver", 80),
        }
        self._application = application
        self._requests: asyncio.Queue[AsgiMessage] = asyncio.Queue()
        chunks = body if isinstance(body, list) else [body]
        for number, chunk in enumerate(chunks, 1):
            self._requests.put_nowait(
                {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            )
        self._sent: asyncio.Queue[AsgiMessage] = asyncio.Queue()
        # Called with each message before it is taken; may be slow.
        self.on_send: Callable[[AsgiMessage], Any] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self._rest = b""

    async def __aenter__(self) -> "Exchange":
        self.task = asyncio.ensure_future(
            self._application(self.scope, self._requests.get, self._send)
        )
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self.hang_up()
        await asyncio.wait_for(self.task, SECONDS)

    def hang_up(self) -> None:
        self._requests.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: AsgiMessage) -> None:
        if self.on_send is not None:
            await self.on_send(message)
        self._sent.put_nowait(message)

    async def _message(self) -> AsgiMessage | None:
        """Return the next message; None when the application has returned."""
        getter = asyncio.ensure_future(self._sent.get())
        await asyncio.wait(
            {getter, self.task}, return_when=asyncio.FIRST_COMPLETED, timeout=SECONDS
        )
        if getter.done():
            return getter.result()
        getter.cancel()
        assert self.task.done(), "The application neither sent nor returned."
        self.task.result()
        return None if self._sent.empty() else self._sent.get_nowait()

    async def start(self) -> int:
        """Wait for the head of the answer, and return its status."""
        message = await self._message()
        assert message is not None
        assert message["type"] == "http.response.start"
        self.status = message["status"]
        self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        return self.status

    async def chunks(self) -> AsyncIterator[bytes]:
        while not self.complete:
            message = await self._message()
            if message is None:
                return
            self.complete = not message.get("more_body", False)
            yield message.get("body", b"")

    async def read(self) -> bytes:
        """Return the whole body."""
        if not self.status:
            await self.start()
        return b"".join([chunk async for chunk in self.chunks()])

    async def json(self) -> Any:
        return json.loads(await self.read())

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the frames: their fields, ``data`` parsed, and comments as ``comment``."""
        if not self.status:
            await self.start()
        rest = b""
        async for chunk in self.chunks():
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                yield parse(block.decode())
        assert rest == b""


def parse(block: str) -> dict[str, Any]:
    frame: dict[str, Any] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(": ")
        frame[name or "comment"] = json.loads(value) if name == "data" else value
    return frame

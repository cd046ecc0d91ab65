"""A client that reads a stream frame by frame, as it comes."""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx

# What a client has to expect between two signs of life, generously.
READ_TIMEOUT = 40.0
TERMINAL = ("completed", "failed", "timeout")


class Stream:
    """One GET of a job's stream.

        with Stream(sent["stream_url"]) as stream:
            for frame in stream: ...

    A frame is the JSON of ``data``, with what the frame's own ``id`` said as ``id`` (None where
    there was none). Iterating ends when the server ends the answer; an answer that is cut off
    raises httpx.RemoteProtocolError or httpx.ReadError. Places in the queue are left out: they are
    no events, and are told only to those who wait for some seconds, as on a busy machine.
    """

    def __init__(
        self, url: str, *, last_event_id: int | None = None, token: str | None = None
    ) -> None:
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        timeout = httpx.Timeout(10, read=READ_TIMEOUT)
        self._client = httpx.Client(timeout=timeout, trust_env=False)
        try:
            request = self._client.build_request("GET", url, headers=headers)
            self.response = self._client.send(request, stream=True)
        except BaseException:
            self._client.close()
            raise
        self._lines = self.response.iter_lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.response.close()
        self._client.close()

    @property
    def status(self) -> int:
        return self.response.status_code

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        while (frame := self._read_frame()).get("type") == "queued":
            pass
        return frame

    def _read_frame(self) -> dict[str, Any]:
        event_id, data = None, None
        for line in self._lines:
            if line == "" and data is not None:
                return {**json.loads(data), "id": event_id}
            name, _, value = line.partition(": ")
            if name == "id":
                event_id = int(value)
            elif name == "data":
                data = value
        raise StopIteration

    def until(self, status: str | None = None, **fields: Any) -> dict[str, Any]:
        """Read on up to the frame that has these fields, and return it."""
        wanted = fields if status is None else {"status": status, **fields}
        seen = []
        for frame in self:
            if wanted.items() <= frame.items():
                return frame
            seen.append(frame)
        raise AssertionError(f"There was no {wanted}: {seen}")


def read_stream(
    url: str, *, last_event_id: int | None = None, token: str | None = None
) -> list[dict[str, Any]]:
    """Return all frames of a stream that ends, without the first, which says "connected"."""
    with Stream(url, last_event_id=last_event_id, token=token) as stream:
        assert stream.status == 200, stream.status
        connected, *frames = list(stream)
    assert connected["status"] == "connected"
    return frames

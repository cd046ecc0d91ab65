"""A client with a good clock: it sends messages and reads streams, of Chatflow and of its peers."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.servers import HOST

TIMEOUT = 60.0
Headers = dict[str, str]


class Client:
    """Sends messages over one connection that stays open."""

    def __init__(self, port: int, headers: Headers, path: str = "/ai-demo/chat/send") -> None:
        self.port = port
        self.headers = headers | {"Content-Type": "application/json"}
        self.path = path
        self._connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)

    def send(self, message: str, **fields: Any) -> dict[str, Any]:
        return self._call("POST", self.path, json.dumps({"message": message, **fields}))

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        self._connection.request(method, path, body, self.headers)
        response = self._connection.getresponse()
        data: dict[str, Any] = json.loads(response.read())
        assert response.status < 300, data
        return data

    def follow(self, started: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Open the stream of a job that was started, and yield its frames. See frames()."""
        url = urlsplit(started["stream_url"])
        return frames(self.port, f"{url.path}?{url.query}")


def frames(port: int, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the frames of a stream, each with the moment of its arrival in nanoseconds."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        for raw in response:
            if raw.startswith(b"data: "):
                arrived = time.monotonic_ns()
                yield arrived, json.loads(raw[6:])
    finally:
        connection.close()

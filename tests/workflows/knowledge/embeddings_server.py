"""A server on loopback that speaks OpenAI's embeddings API, with vectors that can be foreseen."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Each direction is a meaning; a text points to those whose words it has.
MEANINGS = (("car", "automobile", "vehicle"), ("bread", "loaf", "bakery"), ("moon", "lunar"))


def vector(text: str) -> list[float]:
    words = text.lower()
    found = [float(sum(word in words for word in meaning)) for meaning in MEANINGS]
    # No text is without any direction.
    return [*found, 0.1]


class EmbeddingsServer:
    """What the server was asked, and how it is to answer."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.status = 200
        self.body: bytes | None = None
        self.stall: threading.Event | None = None
        self.url = ""

    def answer(self, request: dict[str, Any]) -> bytes:
        texts = request["input"]
        texts = [texts] if isinstance(texts, str) else texts
        self.asked.append(texts)
        if self.stall is not None:
            self.stall.wait(20)
        if self.body is not None:
            return self.body
        data = [
            {"object": "embedding", "index": index, "embedding": vector(text)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = {"object": "list", "data": data, "model": request["model"], "usage": usage}
        return json.dumps(body).encode()


@contextmanager
def embeddings_server() -> Iterator[EmbeddingsServer]:
    script = EmbeddingsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = script.answer(json.loads(self.rfile.read(length)))
            self.send_response(script.status)
            self.send_header("Content-Type", "application/json")
            # OpenAI's client repeats what failed, and then waits no longer.
            self.send_header("Retry-After-Ms", "1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

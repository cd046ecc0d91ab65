"""Users who chat, all at once, and take the time of each word that comes."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.servers import HOST

# Seconds for a whole chat, with its wait for a worker.
PATIENCE = 120.0


@dataclass
class Heard:
    """One chat as its user saw it. Moments are by the monotonic clock, in nanoseconds.

    Args:
        prompt: the message.
        sent: when it was sent.
        numbers: of the words, in the order of their coming.
        delays: milliseconds from the provider's sending of each word to its frame.
        first: when the first word came; 0 before.
    """

    prompt: str
    sent: int = 0
    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    first: int = 0
    job_id: str = ""

    def hear(self, words: str) -> None:
        """Take down some words of the model's: see tests/model_server.py."""
        now = time.monotonic_ns()
        self.first = self.first or now
        for word in words.split():
            number, _, moment = word.partition(":")
            self.numbers.append(int(number))
            self.delays.append((now - int(moment)) / 1e6)

    @property
    def seconds_to_first(self) -> float:
        return (self.first - self.sent) / 1e9


async def chat(
    port: int, headers: dict[str, str], prompt: str, *, until: Callable[[Heard], bool] | None = None
) -> Heard:
    """Send a message to Chatflow, and read its stream to the end.

    Args:
        port: of the web server.
        headers: with the user's token.
        prompt: the message, and the name of its session.
        until: read no further once this is true.
    """
    heard = Heard(prompt, time.monotonic_ns())
    body = {"message": prompt, "session_id": prompt, "async": True}
    answer = await call(port, "POST", "/ai-demo/chat/send", headers, body)
    heard.job_id = answer["job_id"]
    url = urlsplit(answer["stream_url"])
    await _read(port, f"{url.path}?{url.query}", heard, until)
    return heard


async def relay(port: int, prompt: str) -> Heard:
    """Read a bare relay's stream of the model's answer. See bench/peers/bare_relay.py."""
    heard = Heard(prompt, time.monotonic_ns())
    await _read(port, f"/{prompt.replace(' ', '-')}", heard, None)
    return heard


async def call(
    port: int, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Make one request of the API, and return its answer."""
    content = json.dumps(body or {}).encode()
    reader, writer = await asyncio.open_connection(HOST, port)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(content)}", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode() + content)
    raw = await reader.read()
    writer.close()
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 2"), raw
    return dict(json.loads(rest))


async def _read(
    port: int, path: str, heard: Heard, until: Callable[[Heard], bool] | None
) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        while raw := await reader.readline():
            if not raw.startswith(b"data: "):
                continue
            frame = json.loads(raw[6:])
            if "delta" in frame:
                heard.hear(frame["delta"])
            if frame["status"] in ("completed", "failed", "timeout") or until and until(heard):
                break
    writer.close()


def count_inexact(chats: Sequence[Heard], words: int) -> int:
    """Return how many chats missed a word, or heard one twice or out of order."""
    return sum(each.numbers != list(range(words)) for each in chats)

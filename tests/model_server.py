"""A model on loopback that speaks OpenAI's chat completions, to hundreds of clients at once.

    python -m tests.model_server PORT --wait 0.3 --pause 0.05 --words 200

Its words are numbers, each with the moment at which it was sent, by the monotonic clock in
nanoseconds: ``0:81723 1:81773 …``. It remembers all requests: see Request and list_requests().
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from tests.servers import HOST, Server

USAGE = {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300}


@dataclass
class Request:
    """One request. The moments are by the monotonic clock, in nanoseconds; 0 before they come.

    Args:
        prompt: the last message.
        began: when it came.
        first: when the first word was sent.
        ended: when the last word was sent, or the client had gone.
        broke_off: the client had gone before the last word.
    """

    prompt: str
    began: int
    first: int = 0
    ended: int = 0
    broke_off: bool = False


class Model:
    """See the module.

    Args:
        wait: seconds before the first word.
        pause: seconds between two words.
        words: how many.
        hold_at: after so many words it waits while it is told to hold.
    """

    def __init__(self, wait: float, pause: float, words: int, hold_at: int) -> None:
        self.wait = wait
        self.pause = pause
        self.words = words
        self.hold_at = hold_at
        self.requests: list[Request] = []
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._talk, HOST, port, backlog=1000)
        await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await _read_body(reader, head)
                if head.startswith(b"GET"):
                    self._obey(head.split()[1])
                    found = json.dumps([asdict(request) for request in self.requests])
                    writer.write(_whole(found.encode()))
                else:
                    await self._respond(json.loads(body), reader, writer)
                await writer.drain()
        writer.close()

    def _obey(self, path: bytes) -> None:
        if path == b"/hold":
            self._may_go_on.clear()
        elif path == b"/go-on":
            self._may_go_on.set()

    async def _respond(
        self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        content = body["messages"][-1]["content"]
        request = Request(str(content), time.monotonic_ns())
        self.requests.append(request)
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "chat"}}
            whole = {"choices": [choice | {"finish_reason": "stop"}], "usage": USAGE}
            writer.write(_whole(json.dumps(_base(body) | whole).encode()))
            request.first = request.ended = time.monotonic_ns()
            return
        streaming = asyncio.ensure_future(self._stream(request, body, writer))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({streaming, gone}, return_when=asyncio.FIRST_COMPLETED)
        # Where the client has reset the connection, the next word may fail before the reader does.
        if not streaming.done() or streaming.exception() is not None:
            streaming.cancel()
            request.ended, request.broke_off = time.monotonic_ns(), True
            raise ConnectionError
        gone.cancel()
        await asyncio.wait({gone})

    async def _stream(
        self, request: Request, body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        await asyncio.sleep(self.wait)
        async for words in self._words():
            request.first = request.first or time.monotonic_ns()
            choice = {"index": 0, "delta": {"content": words}, "finish_reason": None}
            writer.write(_frame(_base(body) | {"choices": [choice]}))
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        writer.write(_frame(_base(body) | {"choices": [end]}))
        writer.write(_frame(_base(body) | {"choices": [], "usage": USAGE}))
        writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        request.ended = time.monotonic_ns()

    async def _words(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(self.words):
            await asyncio.sleep(began + number * self.pause - loop.time())
            if number == self.hold_at:
                await self._may_go_on.wait()
            yield f"{number}:{time.monotonic_ns()} "


class ModelServer(Server):
    """The process, to be started and asked by tests and the bench.

    Args:
        wait: seconds before the first word.
        pause: seconds between two words.
        words: how many.
        hold_at: after so many words it waits between hold() and go_on().
    """

    def __init__(
        self, *, wait: float = 0.3, pause: float = 0.05, words: int = 200, hold_at: int = -1
    ) -> None:
        super().__init__()
        options = {"--wait": wait, "--pause": pause, "--words": words, "--hold-at": hold_at}
        self._options = [str(part) for option in options.items() for part in option]
        self.environment = {
            "AI_MODEL": "openai-chat:gpt-4o-mini",
            "OPENAI_BASE_URL": f"http://{HOST}:{self.port}/v1",
            "OPENAI_API_KEY": "sk-loopback-0123456789",
        }

    def command(self) -> list[str]:
        # A server runs in a folder of its own.
        path = f"PYTHONPATH={Path(__file__).resolve().parent.parent}"
        program = [sys.executable, "-m", "tests.model_server", str(self.port)]
        return ["/usr/bin/env", path, *program, *self._options]

    def list_requests(self) -> list[Request]:
        """Return all requests so far, the oldest first."""
        return [Request(**each) for each in self._get("/")]

    def hold(self) -> None:
        """Let all answers stop after so many words."""
        self._get("/hold")

    def go_on(self) -> None:
        """Let them go on."""
        self._get("/go-on")

    def _get(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(
            f"http://{HOST}:{self.port}{path}", trust_env=False, timeout=60
        ).json()
        return found


def _base(body: dict[str, Any]) -> dict[str, Any]:
    kind = "chat.completion.chunk" if body.get("stream") else "chat.completion"
    return {"id": "chatcmpl-1", "created": 0, "model": body.get("model", ""), "object": kind}


def _frame(data: dict[str, Any]) -> bytes:
    return _chunk(b"data: " + json.dumps(data).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
    return b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--wait", type=float, default=0.3)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--hold-at", type=int, default=-1)
    options = parser.parse_args()
    model = Model(options.wait, options.pause, options.words, options.hold_at)
    uvloop.run(model.serve(options.port))


if __name__ == "__main__":
    main()

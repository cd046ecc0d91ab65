"""A server on loopback that speaks OpenAI's API by a script, and remembers the requests.

It knows chat completions (``openai-chat:…``, and most other providers') and responses
(``openai:…``), whole and streamed.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INPUT_TOKENS, OUTPUT_TOKENS = 100, 20


@dataclass(kw_only=True)
class Answer:
    """The server's reaction to one request.

    Args:
        text: the words of the response.
        calls: the tools that it calls: their names and arguments.
        finish: the reason for its end, instead of the usual one.
        status: other than 200, an error is sent.
        headers: more headers.
        body: sent instead of anything that OpenAI would.
        stall: the response waits for this; nobody may ever set it.
        stall_at: it waits after so many chunks of a stream; by default before the response begins.
        comment: what a stream sends every 0.1 seconds while it waits.
        cut: the connection is cut after so many chunks of a stream, or in the middle of the body.
    """

    text: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    finish: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    stall: threading.Event | None = None
    stall_at: int = 0
    comment: bytes = b""
    cut: int | None = None


def text(words: str) -> Answer:
    return Answer(text=words)


def call(tool: str, **arguments: Any) -> Answer:
    return Answer(calls=[(tool, arguments)])


def output(**fields: Any) -> Answer:
    """Return structured output, as pydantic-ai requests it: by a call of its own tool."""
    return Answer(calls=[("final_result", fields)])


def error(status: int, message: str = "It is the provider's own text.", **headers: str) -> Answer:
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}})
    return Answer(status=status, body=body.encode(), headers=headers)


def stream(*chunks: dict[str, Any] | str) -> Answer:
    """Return a stream of these chunks, or of these frames as they are, and nothing else."""
    frames = [chunk if isinstance(chunk, str) else frame(chunk) for chunk in chunks]
    return Answer(body="".join(frames).encode(), headers={"Content-Type": "text/event-stream"})


def garbage(body: bytes = b"<html>It works!</html>") -> Answer:
    return Answer(body=body)


class OpenAIServer:
    """See the module.

    Attributes:
        requests: the bodies of all requests, the oldest first.
        traceparents: of those that brought one.
        connections: how many connections were opened.
        script: the answers that are still to be given, the next first.
    """

    def __init__(self, *script: Answer) -> None:
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.traceparents: list[str] = []
        self.connections = 0
        self.script = list(script)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self.environment = {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": "sk-loopback-0123456789"}

    def __enter__(self) -> "OpenAIServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, request: dict[str, Any]) -> Answer:
        with self._lock:
            self.requests.append(request)
            self.paths.append(path)
            return self.script.pop(0) if self.script else error(418, "The script is at its end.")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = json.loads(self.rfile.read(length))
                if told := self.headers.get("traceparent"):
                    server.traceparents.append(told)
                answer = server.take(self.path, request)
                if not answer.stall_at and not answer.comment:
                    _wait(answer)
                try:
                    _send(self, request, answer)
                except OSError:
                    # The client has gone.
                    self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def _send(to: BaseHTTPRequestHandler, request: dict[str, Any], answer: Answer) -> None:
    made = _responses if to.path.endswith("/responses") else _completion
    whole, chunks = made(request, answer)
    streamed = bool(request.get("stream")) and answer.body is None
    body = answer.body if answer.body is not None else json.dumps(whole).encode()
    to.send_response(answer.status)
    for name, value in answer.headers.items():
        to.send_header(name.replace("_", "-"), value)
    if streamed:
        to.send_header("Content-Type", "text/event-stream")
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        _send_chunks(to, chunks, answer)
        return
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body if answer.cut is None else body[: len(body) // 2])
    to.close_connection = answer.cut is not None


def _wait(answer: Answer) -> None:
    if answer.stall is not None:
        answer.stall.wait(60)


def _send_chunks(to: BaseHTTPRequestHandler, chunks: Iterable[str], answer: Answer) -> None:
    for number, chunk in enumerate(chunks):
        if number == answer.cut:
            to.close_connection = True
            return
        if number == answer.stall_at and answer.comment:
            _comment(to, answer)
        elif number and number == answer.stall_at:
            _wait(answer)
        _send_chunk(to, chunk.encode())
    to.wfile.write(b"0\r\n\r\n")


def _send_chunk(to: BaseHTTPRequestHandler, data: bytes) -> None:
    to.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    to.wfile.flush()


def _comment(to: BaseHTTPRequestHandler, answer: Answer) -> None:
    """Keep the connection alive while the answer waits."""
    while answer.stall is not None and not answer.stall.wait(0.1):
        _send_chunk(to, answer.comment)


def _pieces(words: str) -> list[str]:
    return [words[start : start + 4] for start in range(0, len(words), 4)]


def _calls(answer: Answer) -> list[tuple[str, str, str]]:
    return [
        (f"call_{number}_{name}", name, json.dumps(arguments))
        for number, (name, arguments) in enumerate(answer.calls)
    ]


def _completion(request: dict[str, Any], answer: Answer) -> tuple[dict[str, Any], Iterator[str]]:
    """Return a chat completion, whole and in chunks."""
    base = {"id": "chatcmpl-1", "created": int(time.time()), "model": request.get("model", "")}
    calls = [
        {"index": number, "id": id_, "type": "function", "function": {"name": name, "arguments": a}}
        for number, (id_, name, a) in enumerate(_calls(answer))
    ]
    reason = answer.finish or ("tool_calls" if calls else "stop")
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": reason}
    whole = base | {"object": "chat.completion", "choices": [choice], "usage": usage}

    def chunks() -> Iterator[str]:
        deltas: list[dict[str, Any]] = [{"role": "assistant"}]
        deltas += [{"content": piece} for piece in _pieces(answer.text)]
        deltas += [{"tool_calls": [each]} for each in calls]
        parts: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        parts.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        parts.append({"choices": [], "usage": usage})
        for part in parts:
            yield frame(base | {"object": "chat.completion.chunk"} | part)
        yield "data: [DONE]\n\n"

    return whole, chunks()


def _responses(request: dict[str, Any], answer: Answer) -> tuple[dict[str, Any], Iterator[str]]:
    """Return a response, whole and in chunks."""
    items: list[dict[str, Any]] = []
    if answer.text:
        content = {"type": "output_text", "text": answer.text, "annotations": []}
        items.append(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [content],
            }
        )
    for id_, name, arguments in _calls(answer):
        items.append(
            {
                "id": f"fc_{id_}",
                "type": "function_call",
                "status": "completed",
                "call_id": id_,
                "name": name,
                "arguments": arguments,
            }
        )
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": int(time.time()),
        "model": request.get("model", ""),
        "status": "completed",
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }

    def chunks() -> Iterator[str]:
        begun = whole | {"status": "in_progress", "output": [], "usage": None}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        for number, item in enumerate(items):
            events += _item_events(number, item)
        events.append({"type": "response.completed", "response": whole})
        for sequence, event in enumerate(events):
            yield f"event: {event['type']}\n{frame(event | {'sequence_number': sequence})}"

    return whole, chunks()


def _item_events(number: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"output_index": number, "item_id": item["id"]}
    if item["type"] == "message":
        words = item["content"][0]["text"]
        empty = item | {"status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        inner = [
            {"type": "response.content_part.added", "content_index": 0, "part": part} | place,
            *(
                {"type": "response.output_text.delta", "content_index": 0, "delta": piece} | place
                for piece in _pieces(words)
            ),
            {"type": "response.output_text.done", "content_index": 0, "text": words} | place,
        ]
    else:
        empty = item | {"status": "in_progress", "arguments": ""}
        inner = [
            {"type": "response.function_call_arguments.delta", "delta": item["arguments"]} | place,
            {"type": "response.function_call_arguments.done", "arguments": item["arguments"]}
            | place,
        ]
    return [
        {"type": "response.output_item.added", "output_index": number, "item": empty},
        *inner,
        {"type": "response.output_item.done", "output_index": number, "item": item},
    ]


def frame(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"

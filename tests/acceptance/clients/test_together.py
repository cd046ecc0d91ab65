"""Clients of all dialects on one job at once, and on one conversation one after the other."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from tests.acceptance.processes import SECONDS, Site

# What a dialect calls a piece of the answer: its words, and whether they begin it anew.
Piece = tuple[str, bool]
Read = Callable[[dict[str, Any]], Piece | None]


def of_seed(frame: dict[str, Any]) -> Piece | None:
    return (frame["delta"], False) if "delta" in frame else None


def of_responses(frame: dict[str, Any]) -> Piece | None:
    return (frame["delta"], False) if frame["type"] == "response.output_text.delta" else None


def of_ag_ui(frame: dict[str, Any]) -> Piece | None:
    if frame["type"] == "MESSAGES_SNAPSHOT":
        return frame["messages"][-1].get("content", ""), True
    return (frame["delta"], False) if frame["type"] == "TEXT_MESSAGE_CONTENT" else None


def of_ai_sdk(frame: dict[str, Any]) -> Piece | None:
    return (frame["delta"], False) if frame["type"] == "text-delta" else None


def of_a2a(frame: dict[str, Any]) -> Piece | None:
    result = frame["result"]
    if "artifactUpdate" in result:
        update = result["artifactUpdate"]
        text = "".join(part["text"] for part in update["artifact"]["parts"])
        return text, not update.get("append", False)
    artifacts = result.get("task", {}).get("artifacts", [])
    return ("".join(part["text"] for part in artifacts[0]["parts"]), True) if artifacts else None


def test_all_dialects_on_one_job(site: Site) -> None:
    asyncio.run(watch_together(site))


async def watch_together(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.token('alice')}", "A2A-Version": "1.0"}
    site.close_gate("together")
    async with httpx.AsyncClient(base_url=site.url, headers=headers, timeout=SECONDS) as http:
        session = "together"
        body = {"input": "speaker together", "background": True, "model": "speaker"}
        body["metadata"] = {"session_id": session}
        begun = (await http.post("/v1/responses", json=body)).json()
        job = begun["metadata"]["job_id"]
        subscribe = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": job}}
        watchers = [
            Watcher(of_seed, http.stream("GET", f"/ai-demo/workflow/stream/{job}")),
            Watcher(of_responses, http.stream("GET", f"/v1/responses/{begun['id']}?stream=true")),
            Watcher(of_ag_ui, http.stream("GET", f"/ag-ui/threads/{session}/stream")),
            Watcher(of_ai_sdk, http.stream("GET", f"/api/chat/{session}/stream")),
            Watcher(of_a2a, http.stream("POST", "/a2a", json=subscribe)),
        ]
        watching = [asyncio.create_task(watcher.watch()) for watcher in watchers]
        # Each has the first word before there is a second one.
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(watcher.begun.wait() for watcher in watchers))
        site.open_gate("together")
        assert await asyncio.gather(*watching) == ["before after"] * len(watchers)
        await go_on(http, session)


class Watcher:
    """Reads one stream to its end."""

    def __init__(self, read: Read, stream: Any) -> None:
        self.begun = asyncio.Event()
        self._read, self._stream = read, stream

    async def watch(self) -> str:
        """Return the answer as this client has it in the end."""
        text = ""
        async with self._stream as answer:
            assert answer.status_code == 200, await answer.aread()
            async for frame in frames(answer):
                words, anew = self._read(frame) or ("", False)
                text = words if anew else text + words
                if text == "before ":
                    self.begun.set()
        return text


async def frames(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


async def go_on(http: httpx.AsyncClient, session: str) -> None:
    """Ask in one dialect, answer in another one, and read it all in a third."""
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "greeter"}]}
    asked = await http.post("/api/chat", json={"id": session, "messages": [message]})
    assert "What is your name?" in asked.text
    said = {"model": "chatflow", "messages": [{"role": "user", "content": "Alice"}]}
    answered = await http.post("/v1/chat/completions", json=said, headers={"X-Session-Id": session})
    assert answered.json()["choices"][0]["message"]["content"] == "Hello Alice."
    history = await http.get(f"/ai-demo/chat/history/{session}")
    assert [each["content"] for each in history.json()["messages"]][-4:] == [
        "greeter",
        "What is your name?",
        "Alice",
        "Hello Alice.",
    ]

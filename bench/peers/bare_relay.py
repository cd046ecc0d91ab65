"""A bare relay: the model's stream is passed on as SSE, and nothing is kept.

``uvicorn bench.peers.bare_relay:application``; the model is at ``OPENAI_BASE_URL``.
"""

import json
import os
from typing import Any

import httpx2

client = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None))


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = {"stream": True, "messages": [{"role": "user", "content": scope["path"]}]}
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    async with client.stream("POST", url, json=body) as response:
        async for raw in response.aiter_lines():
            choices = json.loads(raw[6:])["choices"] if raw.startswith("data: {") else []
            if choices and choices[0]["delta"]:
                await show(send, {"status": "processing", "delta": choices[0]["delta"]["content"]})
    await show(send, {"status": "completed"}, more=False)


async def show(send: Any, frame: dict[str, str], *, more: bool = True) -> None:
    data = f"data: {json.dumps(frame)}\n\n".encode()
    await send({"type": "http.response.body", "body": data, "more_body": more})

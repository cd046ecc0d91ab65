"""A chat before the first one, with no provider behind it.

pydantic-ai and a provider's SDK take a second or two to import, and another one to be used for the
first time.
"""

import asyncio
import json
import logging
from typing import Any

import httpx2
from pydantic_ai import Agent
from pydantic_ai.settings import ModelSettings

from chatflow.workflows.ai.connections import PATH, SPEAKERS, Connections

logger = logging.getLogger(__name__)

COMPLETION: list[dict[str, Any]] = [
    {"choices": [{"index": 0, "delta": {"content": "Hello."}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": []}
WORDS = {"item_id": "m", "output_index": 0, "content_index": 0, "delta": "Hello.", "logprobs": []}
RESPONSE: list[dict[str, Any]] = [
    {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE},
    {"type": "response.output_text.delta", **WORDS},
    {"type": "response.completed", "response": {"id": "r", "output": [], "status": "completed"}},
]


def rehearse(*models: str) -> None:
    """Let each model answer once; no request leaves this process.

    Args:
        models: their names. One that isn't configured is left to its first call, whose error says
            what is missing.
    """
    asyncio.run(_rehearse(models))


async def _rehearse(models: tuple[str, ...]) -> None:
    connections = Connections(_Stage())
    for name in models:
        try:
            model = connections.get_model(name)
            if name.partition(":")[0] not in SPEAKERS:
                # Its own client would send the request.
                continue
            settings = ModelSettings(max_retries=0)
            async with Agent(instructions="Answer.").run_stream(
                "Hello", model=model, model_settings=settings
            ) as answer:
                await answer.get_output()
        except Exception as error:
            logger.info("%s could not be rehearsed (%s).", name, error)
    # That is, until this loop ends: now.
    await connections.keep_open()


class _Stage(httpx2.AsyncBaseTransport):
    """Answers as a provider would."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        events = COMPLETION if request.url.path.endswith(PATH) else RESPONSE
        frames = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
        headers = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=b"".join(frames))

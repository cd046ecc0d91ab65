"""The tasks extension for Python's client of MCP, as a host would write it."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp_types import CallToolResult, Request, Result


class Begun(Result):
    result_type: Literal["task"]
    task_id: str
    status: str
    ttl_ms: int | None
    poll_interval_ms: int


class Standing(Result):
    result_type: Literal["complete"]
    task_id: str = ""
    status: str = ""
    result: CallToolResult | None = None
    input_requests: dict[str, Any] = {}


class OfTask(Request[dict[str, Any], str]):
    name_param = "taskId"


async def ask(session: ClientSession, method: str, task_id: str, **params: Any) -> Standing:
    """Send one of the three methods of a task."""
    request = OfTask(method=f"tasks/{method}", params={"taskId": task_id, **params})
    return await session.send_request(request, Standing)


class Tasks(ClientExtension):
    """Follows a task to its end.

    Args:
        answer: takes the form of a question, and returns what is filled in.
    """

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> None:
        self.answer = answer

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Begun, resolve=self.follow)]

    async def follow(self, begun: Begun, context: ClaimContext) -> CallToolResult:
        while True:
            standing = await ask(context.session, "get", begun.task_id)
            if standing.result is not None:
                return standing.result
            for key, request in standing.input_requests.items():
                content = self.answer(request["params"])
                said = {key: {"action": "accept", "content": content}}
                await ask(context.session, "update", begun.task_id, inputResponses=said)
            await asyncio.sleep(begun.poll_interval_ms / 5000)

"""The tools of a model that are workflows: it calls one instead of answering the message."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from pydantic_ai import RunContext, Tool
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.tools import ToolDefinition

from chatflow.workflows.ai.asides import Aside
from chatflow.workflows.ai.routes import Route

# Marks the tool of a workflow, in its definition; no model is told.
MARK = "route"
# Nothing can be said to a workflow: it knows the user's message.
NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
# What providers take for the name of a tool. The rest is room for a number.
FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_NAME = 60


def make_tools(routes: Sequence[Route], aside: Aside, taken: Iterable[str]) -> Iterator[Tool[None]]:
    """Yield a tool for each workflow.

    Args:
        routes: the workflows.
        aside: calls plain code.
        taken: the names of the other tools.
    """
    names = set(taken)
    for route in routes:
        name = _make_name(route.workflow, names)
        names.add(name)
        yield _make_tool(route, name, aside)


def is_route(tool: ToolDefinition) -> bool:
    """Say whether a tool is that of a workflow."""
    return bool((tool.metadata or {}).get(MARK))


def _make_tool(route: Route, name: str, aside: Aside) -> Tool[None]:
    async def take(**arguments: Any) -> None:
        await aside(route.take)

    tool: Tool[None] = Tool.from_schema(take, name, route.description, NO_ARGUMENTS)
    tool.prepare, tool.metadata = _until_told, {MARK: True}
    return tool


async def _until_told(context: RunContext[Any], tool: ToolDefinition) -> ToolDefinition | None:
    """Offer a workflow as long as no tool has told the model anything: no document chooses one."""
    return None if _was_told(context.messages) else tool


def _was_told(messages: Iterable[ModelMessage]) -> bool:
    parts = (part for message in messages for part in message.parts)
    return any(isinstance(part, ToolReturnPart) and part.outcome != "retried" for part in parts)


def _make_name(workflow: str, taken: Container[str]) -> str:
    stem = name = FORBIDDEN.sub("_", workflow)[:LONGEST_NAME]
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    return name

"""The built-in model, for running without any: deterministic, and honest about what it is."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_jsonable_python

from workflows.ai.names import OFFLINE
from workflows.ai.requests import read_text
from workflows.exceptions import AIOffline
from workflows.registry import all_workflows

Rule = Callable[[str], Awaitable[Any]]


class OfflineModel(Model[None]):
    """Responds by a rule; without one it says that it is no language model. It calls no tools.

    Args:
        rule: called with the user's latest words; it returns the response, or None if it has none.
    """

    def __init__(self, rule: Rule | None = None) -> None:
        super().__init__()
        self._rule = rule

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        result = None if self._rule is None else await self._rule(_get_latest_words(messages))
        if result is None:
            if not parameters.allow_text_output:
                raise AIOffline
            result = introduce()
        return _make_response(result, parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        response = await self.request(messages, model_settings, model_request_parameters)
        yield _WordByWord(model_request_parameters, response)

    @property
    def provider(self) -> None:
        return None

    @property
    def model_name(self) -> str:
        return OFFLINE

    @property
    def system(self) -> str:
        return OFFLINE


def introduce() -> str:
    """Return a text about this model, and about the workflows that run without a better one."""
    offers = "\n".join(
        f"- {workflow.title}: say “{workflow.triggers[0]}”"
        for workflow in all_workflows()
        if workflow.triggers
    )
    return (
        "I am Chatflow's offline model: no language model is connected, so I can't hold a free "
        f"conversation. What I can do is run workflows. Try one of these:\n{offers}"
    )


def _get_latest_words(messages: list[ModelMessage]) -> str:
    for message in reversed(messages):
        if isinstance(message, ModelRequest):
            for part in reversed(message.parts):
                if isinstance(part, UserPromptPart):
                    return read_text(part)
    return ""


def _make_response(result: Any, parameters: ModelRequestParameters) -> ModelResponse:
    """Put *result* into the shape of the request: words, or a call of the output's tool."""
    part: TextPart | ToolCallPart
    if parameters.output_tools:
        tool = parameters.output_tools[0]
        arguments = to_jsonable_python(result)
        if tool.outer_typed_dict_key:
            arguments = {tool.outer_typed_dict_key: arguments}
        part = ToolCallPart(tool.name, arguments, tool_call_id=f"{OFFLINE}_{tool.name}")
    else:
        part = TextPart(str(result))
    return ModelResponse(parts=[part], model_name=OFFLINE, provider_name=OFFLINE)


class _WordByWord(StreamedResponse):
    """A response whose text comes word by word, as a language model's does."""

    def __init__(self, parameters: ModelRequestParameters, response: ModelResponse) -> None:
        super().__init__(parameters)
        self._response = response

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for number, part in enumerate(self._response.parts):
            if isinstance(part, TextPart):
                for word in re.findall(r"^\s+|\S+\s*", part.content):
                    for event in self._parts_manager.handle_text_delta(
                        vendor_part_id=number, content=word
                    ):
                        yield event
            else:
                yield self._parts_manager.handle_part(vendor_part_id=number, part=part)

    async def close_stream(self) -> None:
        """There is no connection to close."""

    @property
    def model_name(self) -> str:
        return OFFLINE

    @property
    def provider_name(self) -> str:
        return OFFLINE

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return datetime.now(UTC)

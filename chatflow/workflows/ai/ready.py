"""Models that have their answers here: they ask no provider."""

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
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

from chatflow.workflows.ai.requests import read_text


class ReadyModel(Model[None]):
    """Answers at once; where the words are streamed, they come one by one.

    Args:
        name: what it is called.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    @abstractmethod
    async def answer(
        self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters
    ) -> ModelResponse:
        """Return the answer to a request."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        return await self.answer(messages, parameters)

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
        return self._name

    @property
    def system(self) -> str:
        return self._name


def latest_words(messages: Sequence[ModelMessage]) -> str:
    """Return the user's latest words; empty where there are none."""
    for message in reversed(messages):
        if isinstance(message, ModelRequest):
            for part in reversed(message.parts):
                if isinstance(part, UserPromptPart):
                    return read_text(part)
    return ""


def shape(result: Any, parameters: ModelRequestParameters, model: str) -> ModelResponse:
    """Put *result* into the shape of the request: words, or a call of the output's tool."""
    part: TextPart | ToolCallPart
    if parameters.output_tools:
        tool = parameters.output_tools[0]
        arguments = to_jsonable_python(result)
        if tool.outer_typed_dict_key:
            arguments = {tool.outer_typed_dict_key: arguments}
        part = ToolCallPart(tool.name, arguments, tool_call_id=f"{model}_{tool.name}")
    else:
        part = TextPart(str(result))
    return ModelResponse(parts=[part], model_name=model, provider_name=model)


class _WordByWord(StreamedResponse):
    """A response whose text comes word by word, as a language model's does."""

    def __init__(self, parameters: ModelRequestParameters, response: ModelResponse) -> None:
        super().__init__(parameters)
        self._response = response
        self._usage = response.usage
        self.finish_reason = response.finish_reason
        self.provider_details = response.provider_details

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
        return self._response.model_name or ""

    @property
    def provider_name(self) -> str:
        return self._response.provider_name or ""

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return datetime.now(UTC)

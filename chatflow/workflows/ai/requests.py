"""A request to a model, and the ways of asking for less."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    RetryPromptPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from chatflow.workflows.ai.route_tools import is_route

# Characters that a file counts for: providers count an image as a thousand tokens, more or less.
FILE_LENGTH = 4000
BY_SCHEMA = "Answer with one JSON object and nothing else. It must fit this JSON schema:\n{schema}"


@dataclass(frozen=True)
class Request:
    """A request, as pydantic-ai makes it."""

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters

    @property
    def length(self) -> int:
        """How many characters its messages have; a file counts for some."""
        files = [file for message in self.messages for file in _list_files(message)]
        said = [_drop_files(message) for message in self.messages] if files else self.messages
        return len(ModelMessagesTypeAdapter.dump_json(said)) + len(files) * FILE_LENGTH

    @property
    def prompt(self) -> str:
        """The user's latest words."""
        parts = self.messages[_find_turn(self.messages)].parts
        return "\n\n".join(read_text(part) for part in parts if isinstance(part, UserPromptPart))

    def describe(self) -> dict[str, Any]:
        """Return what a model is asked, in short, for people who look into it afterwards.

        Of the memory it has the number of messages alone: these are the conversation's, and each
        turn would keep them all again. What tools returned is in the steps of their own.
        """
        about = {"characters": self.length}
        if self.brings_results:
            # The same call has asked before, and that request has the rest.
            return about
        turn = _find_turn(self.messages)
        said = self.messages[turn]
        rules = [getattr(said, "instructions", None)]
        rules += [part.content for part in said.parts if isinstance(part, SystemPromptPart)]
        return about | {
            "instructions": "\n\n".join(filter(None, rules)),
            "memory": turn,
            "prompt": self.prompt,
            "files": len(_list_files(said)),
            "tools": [tool.name for tool in self.parameters.function_tools],
        }

    @property
    def has_tools(self) -> bool:
        """Whether the model is to call any."""
        return bool(self.parameters.function_tools or self.parameters.output_tools)

    @property
    def has_routes(self) -> bool:
        """Whether the model may call a workflow."""
        return any(is_route(tool) for tool in self.parameters.function_tools)

    @property
    def has_files(self) -> bool:
        """Whether it brings the model an image or another file."""
        return any(_list_files(message) for message in self.messages)

    @property
    def asks_of_files(self) -> bool:
        """Whether the user's latest words came with one."""
        return bool(_list_files(self.messages[_find_turn(self.messages)]))

    @property
    def brings_results(self) -> bool:
        """Whether it brings the model the results of its tool calls."""
        last = self.messages[-1]
        parts = last.parts if isinstance(last, ModelRequest) else []
        return any(isinstance(part, ToolReturnPart | RetryPromptPart) for part in parts)


def read_text(part: UserPromptPart) -> str:
    """Return the words of a user's prompt, without its files."""
    if isinstance(part.content, str):
        return part.content
    return "\n\n".join(each for each in part.content if isinstance(each, str))


def drop_tools(request: Request) -> Request:
    """Return the request with no more tools than its answer takes."""
    return replace(request, parameters=replace(request.parameters, function_tools=[]))


def drop_files(request: Request, told: str = "") -> Request:
    """Return the request without its files.

    Args:
        request: for a model that takes none.
        told: what the model is told in the place of each.
    """
    return replace(request, messages=[_drop_files(each, told) for each in request.messages])


def shorten(request: Request) -> Request | None:
    """Return the request with the later half of its memory; None if it has none."""
    turn = _find_turn(request.messages)
    memory = request.messages[:turn]
    if not memory:
        return None
    room = _count_characters(memory) // 2
    while memory and (_count_characters(memory) > room or isinstance(memory[0], ModelResponse)):
        # Models expect the user to begin.
        del memory[0]
    return replace(request, messages=[*memory, *request.messages[turn:]])


def put_in_words(request: Request, told: str) -> Request:
    """Return the request for a model that can't call tools; read_words() reads its answer.

    Args:
        request: for a model that can.
        told: the tools' results, as far as they are known beforehand.
    """
    messages = [_describe_calls(message) for message in request.messages]
    turn = _find_turn(request.messages)
    prompt = messages[turn]
    assert isinstance(prompt, ModelRequest), "A user's prompt is a request."
    tools = request.parameters.output_tools
    wanted = BY_SCHEMA.format(schema=json.dumps(tools[0].parameters_json_schema)) if tools else ""
    parts = [_extend(part, told, wanted) for part in prompt.parts]
    messages[turn] = replace(prompt, parts=parts)
    parameters = replace(
        request.parameters,
        function_tools=[],
        output_tools=[],
        output_mode="text",
        allow_text_output=True,
    )
    return Request(messages, request.settings, parameters)


def read_words(response: ModelResponse, request: Request) -> ModelResponse:
    """Return the answer to a request that was put in words, as *request* wanted it."""
    tools = request.parameters.output_tools
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    start, end = text.find("{"), text.rfind("}")
    if not tools or start < 0 or end < start:
        return response
    call = ToolCallPart(tools[0].name, text[start : end + 1])
    others = [part for part in response.parts if not isinstance(part, TextPart)]
    return replace(response, parts=[*others, call])


def _count_characters(messages: Sequence[ModelMessage]) -> int:
    parts = [part for message in messages for part in message.parts]
    return sum(_count(part) for part in parts)


def _count(part: ModelRequestPart | ModelResponsePart) -> int:
    if isinstance(part, UserPromptPart):
        return len(read_text(part)) + len(_files_of(part)) * FILE_LENGTH
    return len(str(getattr(part, "content", part)))


def _list_files(message: ModelMessage) -> list[BinaryContent]:
    parts = [part for part in message.parts if isinstance(part, UserPromptPart)]
    return [file for part in parts for file in _files_of(part)]


def _files_of(part: UserPromptPart) -> list[BinaryContent]:
    return (
        []
        if isinstance(part.content, str)
        else [each for each in part.content if isinstance(each, BinaryContent)]
    )


def _drop_files(message: ModelMessage, told: str = "") -> ModelMessage:
    if isinstance(message, ModelResponse):
        return message
    return replace(message, parts=[_drop_files_of(part, told) for part in message.parts])


def _drop_files_of(part: ModelRequestPart, told: str) -> ModelRequestPart:
    if not isinstance(part, UserPromptPart) or not _files_of(part):
        return part
    put = [
        told and TextContent(told) if isinstance(each, BinaryContent) else each
        for each in part.content
    ]
    content = [each for each in put if each]
    is_plain = all(isinstance(each, str) for each in content)
    return replace(part, content=read_text(part) if is_plain else content)


def _find_turn(messages: Sequence[ModelMessage]) -> int:
    """Return the place of the user's latest prompt."""
    for place in reversed(range(len(messages))):
        if any(isinstance(part, UserPromptPart) for part in messages[place].parts):
            return place
    return 0


def _extend(part: ModelRequestPart, before: str, after: str) -> ModelRequestPart:
    if not isinstance(part, UserPromptPart):
        return part
    text = "\n\n".join(filter(None, [before, read_text(part), after]))
    others = [] if isinstance(part.content, str) else part.content
    others = [each for each in others if not isinstance(each, str)]
    return replace(part, content=[text, *others] if others else text)


def _describe_calls(message: ModelMessage) -> ModelMessage:
    """Return *message* with calls of tools, and what they returned, in words."""
    if isinstance(message, ModelResponse):
        return replace(message, parts=[_describe_call(part) for part in message.parts])
    return replace(message, parts=[_describe_result(part) for part in message.parts])


def _describe_call(part: ModelResponsePart) -> ModelResponsePart:
    if not isinstance(part, ToolCallPart):
        return part
    return TextPart(f"{part.tool_name}: {part.args_as_json_str()}")


def _describe_result(part: ModelRequestPart) -> ModelRequestPart:
    if isinstance(part, ToolReturnPart):
        return UserPromptPart(f"{part.tool_name}: {part.model_response_str()}")
    if isinstance(part, RetryPromptPart):
        return UserPromptPart(part.model_response())
    return part

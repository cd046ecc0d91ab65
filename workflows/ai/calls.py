"""One call of ``ctx.ai``: pydantic-ai's agent, over the recorded model."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import wraps
from typing import Any

from pydantic_ai import Agent, ModelRetry, Tool
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.usage import UsageLimits

from workflows.ai.asides import Aside
from workflows.ai.errors import ProviderError, classify
from workflows.ai.messages import ChatMessage
from workflows.ai.recorded import Journal, RecordedModel, find_models
from workflows.exceptions import ToolError

# How often the model may correct a wrong response, or a wrong call of a tool.
CORRECTIONS = 2


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments of ``ctx.ai``, see there; and the models to call, in order."""

    messages: Sequence[ChatMessage]
    output_type: Any
    tools: Sequence[Callable[..., Any]]
    instructions: str | None
    models: Sequence[Model]
    show: bool


def choose_models(name: str, rule: Callable[[str], Any] | None, aside: Aside) -> list[Model]:
    """Return the models to call. See find_models(); *rule* is plain code."""
    if rule is None:
        return find_models(name, None)

    async def call(words: str) -> Any:
        return await aside(lambda: rule(words))

    return find_models(name, call)


async def make_call(
    call: Call,
    journal: Journal,
    aside: Aside,
    use: Callable[[Callable[..., Any], dict[str, Any]], Coroutine[Any, Any, Any]],
) -> Any:
    """Make a call of the models.

    Args:
        call: the call.
        journal: where each response is recorded.
        aside: calls plain code.
        use: calls a tool, with its arguments.

    Returns:
        The result, of the call's output type.
    """
    model = RecordedModel(call.models, journal, aside, show=call.show)
    agent = Agent(
        model,
        output_type=call.output_type,
        instructions=call.instructions,
        tools=[Tool(_record_calls(function, use)) for function in call.tools],
        retries=CORRECTIONS,
    )
    *history, (last, *_) = [(message,) for message in call.messages]
    async with AsyncExitStack() as clients:
        for candidate in call.models:
            await clients.enter_async_context(candidate)
        try:
            result = await agent.run(
                last["content"],
                message_history=[_convert(message) for (message,) in history],
                infer_name=False,
                # They are counted where they are recorded.
                usage_limits=UsageLimits(request_limit=None),
            )
        except AgentRunError as error:
            # The responses came, but they were of no use.
            problem = classify(error)
            raise problem.error from ProviderError(problem.details)
    return result.output


def _record_calls(
    function: Callable[..., Any],
    use: Callable[[Callable[..., Any], dict[str, Any]], Coroutine[Any, Any, Any]],
) -> Callable[..., Any]:
    """Return a tool with the signature of *function*, each call of which is recorded."""

    @wraps(function)
    async def call(**arguments: Any) -> Any:
        try:
            return await use(function, arguments)
        except ToolError as error:
            raise ModelRetry(str(error)) from error

    return call


def _convert(message: ChatMessage) -> ModelMessage:
    role, text = message["role"], message["content"]
    if role == "assistant":
        return ModelResponse(parts=[TextPart(text)])
    if role == "system":
        return ModelRequest(parts=[SystemPromptPart(text)])
    return ModelRequest(parts=[UserPromptPart(text)])

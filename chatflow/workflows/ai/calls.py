"""One call of ``ctx.ai``: pydantic-ai's agent, over the recorded model."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextContent,
    TextPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from chatflow.workflows.ai.answers import is_garbled
from chatflow.workflows.ai.asides import Aside
from chatflow.workflows.ai.connections import get_connections
from chatflow.workflows.ai.errors import ProviderError, classify
from chatflow.workflows.ai.function_tools import Use, make_tool
from chatflow.workflows.ai.messages import ChatMessage, File, Quotation, SentFile
from chatflow.workflows.ai.recorded import Journal, RecordedModel, find_models
from chatflow.workflows.ai.route_tools import make_tools
from chatflow.workflows.ai.routes import Route
from chatflow.workflows.exceptions import AIOffline, AIUnavailable, AIUnusable, WorkflowError

logger = logging.getLogger(__name__)

# How often the model may correct a wrong response, or a wrong call of a tool.
CORRECTIONS = 2


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments of ``ctx.ai``, see there; the models to call, and the workflows to offer."""

    messages: Sequence[ChatMessage]
    output_type: Any
    tools: Sequence[Callable[..., Any]]
    routes: Sequence[Route]
    instructions: str | None
    models: Sequence[Model]
    settings: dict[str, Any]
    show: bool


def choose_models(name: str, rule: Callable[[str], Any] | None, aside: Aside) -> list[Model]:
    """Return the models to call. See find_models(); *rule* is plain code."""
    if rule is None:
        return find_models(name, None)

    async def call(words: str) -> Any:
        return await aside(lambda: rule(words), own=True)

    return find_models(name, call)


async def make_call(
    call: Call,
    journal: Journal,
    aside: Aside,
    use: Use,
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
    tools = [make_tool(function, use) for function in call.tools]
    agent: Agent[None, Any] = Agent(
        output_type=call.output_type,
        instructions=call.instructions,
        tools=[*tools, *make_tools(call.routes, aside, {tool.name for tool in tools})],
        retries=CORRECTIONS,
    )
    await get_connections().keep_open()
    return await _run(agent, call, journal, aside)


async def _run(agent: Agent[None, Any], call: Call, journal: Journal, aside: Aside) -> Any:
    """Run the agent with the models; with those after the one whose answers were of no use."""
    *history, last = call.messages
    models = list(call.models)
    problem: WorkflowError | None = None
    while models:
        model = RecordedModel(models, journal, aside, show=call.show)
        try:
            result = await agent.run(
                _make_content(last),
                model=model,
                model_settings=cast(ModelSettings, call.settings),
                message_history=[_convert(message) for message in history],
                infer_name=False,
                # They are counted where they are recorded.
                usage_limits=UsageLimits(request_limit=None),
            )
        except AgentRunError as error:
            problem = _explain(error, model)
            models = models[model.place + 1 :]
            logger.warning("%s: %s", model.models[model.place].model_id, problem.__cause__)
        except AIOffline:
            # That this one can't help either is not the cause.
            if problem is None:
                raise
            break
        else:
            return result.output
    assert problem is not None, "There is a model at least."
    raise problem


def _explain(error: AgentRunError, model: RecordedModel) -> WorkflowError:
    """Return the job's error where the responses came, but were of no use."""
    failure = classify(error)
    problem = failure.error
    if type(problem) is AIUnavailable:
        problem = AIUnusable(code=None if is_garbled(model.latest) else AIUnavailable.code)
    problem.__cause__ = ProviderError(failure.details)
    return problem


def _convert(message: ChatMessage) -> ModelMessage:
    role, text = message["role"], message["content"]
    if role == "assistant":
        return ModelResponse(parts=[TextPart(text)])
    if role == "system":
        return ModelRequest(parts=[SystemPromptPart(text)])
    return ModelRequest(parts=[UserPromptPart(_make_content(message))])


def _make_content(message: ChatMessage) -> str | list[UserContent]:
    files = [_convert_file(file) for file in message.get("files", ())]
    return [message["content"], *files] if files else message["content"]


def _convert_file(file: File | SentFile | Quotation) -> UserContent:
    if isinstance(file, Quotation):
        return TextContent(file.text)
    assert isinstance(file, File), "What was sent is brought before."
    return BinaryContent(file.content, media_type=file.media_type)

"""A model that answers by a test's script, and fails the test where that is at its end."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.usage import RequestUsage

from chatflow.workflows.ai import calls
from chatflow.workflows.ai.names import OFFLINE as OFFLINE
from chatflow.workflows.ai.ready import ReadyModel, latest_words, shape
from chatflow.workflows.exceptions import WorkflowError
from chatflow.workflows.testing.overrides import overridden

NAME = "script"


class Use:
    """In a script: the model uses a tool, or hands the message over to another workflow.

    Args:
        tool: the name of the function, or of the workflow.
        arguments: what it is called with; of a workflow none.
    """

    def __init__(self, tool: str, /, **arguments: Any) -> None:
        self.tool = tool
        self.arguments = arguments

    def __repr__(self) -> str:
        return f"Use({self.tool!r}, **{self.arguments!r})"


class OffScript(WorkflowError):
    """The model was asked for what the test's script doesn't have."""


class Script:
    """The answers of a test's model.

    Args:
        answers: in their order: texts, results for ``output_type``, exceptions, and Use, or a list
            of these for several at once; or ``OFFLINE``, where the offline model is to answer.

    Attributes:
        prompts: the latest words of the user's in each request so far.
        failure: what the test is to be told.
    """

    def __init__(self, answers: Iterable[Any] | str = ()) -> None:
        self.is_offline = answers == OFFLINE
        self.answers = deque(() if isinstance(answers, str) else answers)
        self.prompts: list[str] = []
        self.failure = ""

    @contextmanager
    def played(self) -> Iterator[None]:
        """Let this script's model answer whatever model a workflow calls."""

        def find_models(name: str, rule: Any) -> list[Model]:
            return [ScriptedModel(self)]

        with ExitStack() as stack:
            model = OFFLINE if self.is_offline else f"{NAME}:{NAME}"
            stack.enter_context(overridden(AI_MODEL=model, AI_FALLBACK_MODELS=[]))
            if not self.is_offline:
                stack.enter_context(patch.object(calls, "find_models", find_models))
            yield

    def take(self, prompt: str) -> Any:
        """Return the next answer.

        Raises:
            OffScript: there is none.
        """
        self.prompts.append(prompt)
        if not self.answers:
            self.fail(f"The model was asked once more than the test has answers for: {prompt!r}")
        return self.answers.popleft()

    def fail(self, text: str) -> None:
        """Fail the test, as soon as the job has ended."""
        self.failure = self.failure or text
        raise OffScript(text)


class ScriptedModel(ReadyModel):
    """Answers by a script."""

    def __init__(self, script: Script) -> None:
        super().__init__(NAME)
        self._script = script

    async def answer(
        self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters
    ) -> ModelResponse:
        prompt = latest_words(messages)
        said = self._script.take(prompt)
        if isinstance(said, BaseException) or _is_exception(said):
            raise said
        uses = [said] if isinstance(said, Use) else said
        if isinstance(uses, list) and uses and all(isinstance(each, Use) for each in uses):
            response = ModelResponse([self._call(each, parameters) for each in uses])
        else:
            response = shape(said, parameters, NAME)
        response.model_name = response.provider_name = NAME
        response.finish_reason, response.provider_details = "stop", {"finish_reason": "stop"}
        # A word is a token.
        tokens = (max(1, len(text.split())) for text in (prompt, str(said)))
        response.usage = RequestUsage(input_tokens=next(tokens), output_tokens=next(tokens))
        return response

    def _call(self, use: Use, parameters: ModelRequestParameters) -> ToolCallPart:
        offered = [tool.name for tool in parameters.function_tools]
        if use.tool not in offered:
            known = ", ".join(offered) or "nothing"
            self._script.fail(f"The model is to use {use.tool!r}, but is offered {known}.")
        return ToolCallPart(use.tool, use.arguments)


def _is_exception(said: Any) -> bool:
    return isinstance(said, type) and issubclass(said, BaseException)

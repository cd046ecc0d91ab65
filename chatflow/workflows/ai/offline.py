"""The built-in model, for running without any: deterministic, and honest about what it is."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from chatflow.conf import conf
from chatflow.workflows.ai.names import OFFLINE
from chatflow.workflows.ai.ready import ReadyModel, latest_words, shape
from chatflow.workflows.exceptions import AIOffline
from chatflow.workflows.registry import all_workflows

Rule = Callable[[str], Awaitable[Any]]


class OfflineModel(ReadyModel):
    """Responds by a rule; without one it says that it is no language model. It calls no tools.

    Args:
        rule: called with the user's latest words; it returns the response, or None if it has none.
    """

    def __init__(self, rule: Rule | None = None) -> None:
        super().__init__(OFFLINE)
        self._rule = rule

    async def answer(
        self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters
    ) -> ModelResponse:
        result = None if self._rule is None else await self._rule(latest_words(messages))
        if result is None:
            if not parameters.allow_text_output:
                raise AIOffline
            result = introduce()
        return shape(result, parameters, OFFLINE)


def introduce() -> str:
    """Return a text about this model, and about the workflows that run without a better one."""
    about = (
        "I am Chatflow's offline model: no language model is connected, so I can't hold a free "
        "conversation. What I can do is run workflows."
    )
    if conf.MAY_USE is not None:
        # It doesn't know whom it speaks to; the guide does.
        return f"{about} Say “help” to see which."
    offers = "\n".join(
        f"- {workflow.title}: say “{workflow.triggers[0]}”"
        for workflow in all_workflows()
        if workflow.triggers
    )
    return f"{about} Try one of these:\n{offers}"

"""What is counted, timed and traced of the requests to models: names and figures, no words."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from chatflow.workflows import tracing
from chatflow.workflows.ai import usage
from chatflow.workflows.ai.errors import Failure
from chatflow.workflows.metrics.series import AI_COST, AI_FIRST_WORD, AI_REQUEST, AI_TOKENS

CHAT = "chat"
ANSWERED, FAILED = "answered", "failed"


class Observation:
    """One request to one model.

    Args:
        name: the model's, as it was asked for; what a provider calls it may be anything.
        span: in which it is made.
    """

    def __init__(self, name: str, span: "tracing.Span | None" = None) -> None:
        self._name = name
        self._span = span
        self._began = time.monotonic()
        self._shows = False
        # An error or an interruption leaves it so.
        self._outcome = FAILED

    def show(self) -> None:
        """Take note that words are shown."""
        if not self._shows:
            self._shows = True
            AI_FIRST_WORD.observe(time.monotonic() - self._began, self._name)

    def end(self, outcome: ModelResponse | Failure, characters: int) -> None:
        """Take note of how it ended.

        Args:
            outcome: what came of it.
            characters: the length of the request.
        """
        if not isinstance(outcome, ModelResponse):
            tracing.fail(self._span, type(outcome.error).__qualname__)
            return
        self._outcome = ANSWERED
        used = usage.measure(outcome, characters)
        AI_TOKENS.add(used["input_tokens"], self._name, "input")
        AI_TOKENS.add(used["output_tokens"], self._name, "output")
        if "cost_usd" in used:
            AI_COST.add(used["cost_usd"], self._name)
        if self._span is not None:
            self._span.set_attributes(
                {
                    "gen_ai.response.model": used["model"],
                    "gen_ai.usage.input_tokens": used["input_tokens"],
                    "gen_ai.usage.output_tokens": used["output_tokens"],
                }
            )

    def close(self) -> None:
        """Time it."""
        AI_REQUEST.observe(time.monotonic() - self._began, self._name, self._outcome)


NOBODY = Observation("")


@contextmanager
def request(model: Model) -> Iterator[Observation]:
    """Observe a request to *model*."""
    asked = {
        "gen_ai.operation.name": CHAT,
        "gen_ai.provider.name": model.system,
        "gen_ai.request.model": model.model_name,
    }
    with tracing.span(f"{CHAT} {model.model_name}", "CLIENT", asked) as span:
        observation = Observation(model.model_id, span)
        try:
            yield observation
        finally:
            observation.close()

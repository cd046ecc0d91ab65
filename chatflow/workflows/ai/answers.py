"""The answers of models: what of them is the answer, and which of them are none."""

from dataclasses import replace

from pydantic_ai.messages import (
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)

from chatflow.workflows.ai.errors import Failure
from chatflow.workflows.ai.reasoning import REASONING
from chatflow.workflows.ai.words import Words
from chatflow.workflows.exceptions import AIFiltered, AIUnavailable, AIUnusable


def without_reasoning(response: ModelResponse) -> ModelResponse:
    """Return *response* with those of its words that are the answer; the others as metadata."""
    words = Words()
    parts: list[ModelResponsePart] = []
    for part in response.parts:
        if isinstance(part, TextPart):
            withdrawn = words.withdrawn
            part = replace(part, content=words.take(part.content))
            if words.withdrawn > withdrawn:
                parts = [each for each in parts if not isinstance(each, TextPart)]
        parts.append(part)
    if rest := words.close():
        parts.append(TextPart(rest))
    said = [part for part in parts if not isinstance(part, TextPart) or part.content]
    # As a part it would be sent back to the model, between tags of pydantic-ai's.
    metadata = (
        {**(response.metadata or {}), REASONING: words.reasoning} if words.reasoning else None
    )
    return replace(response, parts=said, metadata=metadata or response.metadata)


def find_fault(response: ModelResponse) -> Failure | None:
    """Return why *response* is no answer; None if it is one.

    Args:
        response: whose words are the answer's.
    """
    details = response.provider_details or {}
    if response.state != "complete" or details.get("finish_reason") == "error":
        text = f"The answer is {response.state}, its end is {details.get('finish_reason')}."
        return Failure(AIUnavailable(), text, again=True, counted=True)
    if response.finish_reason == "content_filter":
        return Failure(AIFiltered(), "A content filter ended the answer.", counted=True)
    if all(isinstance(part, ThinkingPart) for part in response.parts):
        is_cut_off = response.finish_reason == "length"
        text = f"The answer is empty, its end is {response.finish_reason}."
        # There would be no more room the next time.
        return Failure(AIUnusable(), text, again=not is_cut_off, counted=True)
    return None


def is_garbled(response: ModelResponse | None) -> bool:
    """Say whether *response* calls a tool with something that is no JSON."""
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)] if response else []
    return any(not _is_json(call) for call in calls)


def _is_json(call: ToolCallPart) -> bool:
    try:
        call.args_as_dict(raise_if_invalid=True)
    except (ValueError, AssertionError):
        return False
    return True

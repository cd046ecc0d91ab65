"""The shapes of what OpenAI's clients are answered, for the OpenAPI schema."""

from typing import Annotated, Any, NotRequired, TypedDict

from chatflow.answers.bodies import JSON, Shown


class OpenAIErrorDataBody(TypedDict):
    message: str
    type: str
    param: str | None
    code: str


class OpenAIErrorBody(TypedDict):
    error: OpenAIErrorDataBody


class ModelBody(TypedDict):
    """A workflow, or a model that may be chosen."""

    id: str
    object: Annotated[str, "`model`"]
    created: int
    owned_by: str


class ModelsBody(TypedDict):
    object: Annotated[str, "`list`"]
    data: list[ModelBody]


class CompletionBody(TypedDict):
    """A whole answer of Chat Completions."""

    id: str
    object: Annotated[str, "`chat.completion`"]
    created: int
    model: str
    choices: list[JSON]
    usage: JSON


class ResponseBody(TypedDict):
    """A response, as it is now."""

    id: str
    object: Annotated[str, "`response`"]
    created_at: int
    completed_at: NotRequired[int]
    status: Annotated[
        str, Shown(enum=("queued", "in_progress", "completed", "failed", "cancelled"))
    ]
    background: bool
    error: JSON | None
    incomplete_details: JSON | None
    instructions: str | None
    metadata: dict[str, str]
    model: str
    output: list[JSON]
    parallel_tool_calls: bool
    previous_response_id: str | None
    temperature: float | None
    tool_choice: str
    tools: list[JSON]
    top_p: float | None
    usage: JSON | None


class DeletedResponseBody(TypedDict):
    id: str
    object: Annotated[str, "`response`"]
    deleted: bool


class InputItemsBody(TypedDict):
    object: Annotated[str, "`list`"]
    data: list[JSON]
    first_id: str
    last_id: str
    has_more: bool


def refusals(*statuses: int) -> dict[Any, Any]:
    """Return the ``responses`` of an endpoint for its refusals, with these *statuses*."""
    return dict.fromkeys(statuses, OpenAIErrorBody)

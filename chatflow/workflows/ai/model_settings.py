"""How a model is to answer, by pydantic-ai's names for it; but without pydantic-ai."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class ModelSettings(TypedDict, total=False):
    """Each may be left out; a model goes without those that it doesn't know.

    Args:
        temperature: how much chance there is in the words; 0 is least.
        top_p: take the likeliest tokens only, which have this probability together.
        max_tokens: the most tokens of an answer, in some models with the reasoning.
        thinking: how hard to reason; true is the provider's own measure, false is not at all.
        extra_body: the provider's own fields, as they stand in the body of a request.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(ge=0, le=1)]
    max_tokens: Annotated[int, Field(ge=1)]
    thinking: bool | Effort
    extra_body: dict[str, Any]


def check(settings: Mapping[str, Any]) -> None:
    """Check that *settings* are such.

    Raises:
        ValueError: what is wrong, in one sentence.
    """
    try:
        _get_adapter().validate_python(dict(settings))
    except ValidationError as error:
        # Of a value that is none of several the last one says most.
        fault = error.errors()[-1]
        raise ValueError(f"{fault['loc'][0]}: {fault['msg']}.") from None


@cache
def _get_adapter() -> TypeAdapter[ModelSettings]:
    return TypeAdapter(ModelSettings)

"""OpenAI's SDK, made to read the chunks of a stream as quickly as pydantic does.

It builds each object from its fields in Python, whatever they hold, which takes forty times as long
as to validate them, and is most of what it costs to hear a model.
"""

from contextlib import suppress
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError


def read_chunks_quickly(client: AsyncOpenAI) -> None:
    """Let *client* validate chunks; the odd ones, which are not valid, it builds as before.

    Args:
        client: changed in place, by a method of its own that openai-python has for all responses.
    """
    build: Any = client._process_response_data

    def process(*, data: object, cast_to: Any, response: Any) -> Any:
        if cast_to is ChatCompletionChunk:
            with suppress(ValidationError):
                return ChatCompletionChunk.model_validate(data)
        return build(data=data, cast_to=cast_to, response=response)

    client._process_response_data = process  # type: ignore[method-assign]

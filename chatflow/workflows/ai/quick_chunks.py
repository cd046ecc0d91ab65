"""OpenAI's SDK, made to read the chunks of a stream as quickly as pydantic does.

It builds each object from its fields in Python, whatever they hold, which takes forty times as long
as to validate them, and is most of what it costs to hear a model.
"""

from contextlib import suppress
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError


class QuickClient(AsyncOpenAI):
    """Validates chunks; the odd ones, which are not valid, it builds as before."""

    # A method of openai-python's own, for all responses.
    def _process_response_data(self, *, data: object, cast_to: Any, response: Any) -> Any:
        if cast_to is ChatCompletionChunk:
            with suppress(ValidationError):
                return ChatCompletionChunk.model_validate(data)
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)


def read_chunks_quickly(client: AsyncOpenAI) -> None:
    """Make *client* a QuickClient, and so the copies that it makes of itself."""
    if type(client) is AsyncOpenAI:
        client.__class__ = QuickClient

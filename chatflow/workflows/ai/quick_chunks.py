"""OpenAI's SDK, made as quick as can be where it is most of what it costs to hear a model.

It builds each object of a response from its fields in Python, whatever they hold, which takes forty
times as long as to validate them. It walks through the whole of a request for what JSON can't say,
though pydantic-ai has put it as JSON already. And it makes a new client for each request that isn't
to be repeated.
"""

from contextlib import suppress
from typing import Any, cast

from openai import AsyncOpenAI, AsyncStream, NotGiven, Omit
from openai._types import RequestOptions
from openai.resources.chat import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

# The arguments of a request that are not said in its body, and what they are as its options.
ABOUT = {
    "extra_headers": "headers",
    "extra_query": "params",
    "extra_body": "extra_json",
    "timeout": "timeout",
}


class QuickClient(AsyncOpenAI):
    """Validates chunks; the odd ones, which are not valid, it builds as before."""

    # A method of openai-python's own, for all responses.
    def _process_response_data(self, *, data: object, cast_to: Any, response: Any) -> Any:
        if cast_to is ChatCompletionChunk:
            with suppress(ValidationError):
                return ChatCompletionChunk.model_validate(data)
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)

    # As pydantic-ai calls it for each request.
    def with_options(self, **options: Any) -> Any:
        mine = {"http_client": self._client, "max_retries": self.max_retries, "_extra_kwargs": {}}
        return self if options == mine else self.copy(**options)


class QuickCompletions(AsyncCompletions):
    """Sends requests as pydantic-ai makes them."""

    async def create(self, **arguments: Any) -> Any:
        """See the SDK's own method. All arguments are given by their names."""
        given = {
            name: value
            for name, value in arguments.items()
            if not isinstance(value, NotGiven | Omit)
        }
        about = {ABOUT[name]: given.pop(name) for name in list(given) if name in ABOUT}
        options = {name: value for name, value in about.items() if value is not None}
        return await self._client.post(
            "/chat/completions",
            body=given,
            options=cast(RequestOptions, options | {"security": {"bearer_auth": True}}),
            cast_to=ChatCompletion,
            stream=bool(given.get("stream")),
            stream_cls=AsyncStream[ChatCompletionChunk],
        )


def read_chunks_quickly(client: AsyncOpenAI) -> None:
    """Make *client* a QuickClient, and so the copies that it makes of itself."""
    if type(client) is AsyncOpenAI:
        client.__class__ = QuickClient
        client.max_retries = 0
        client.chat.completions.__class__ = QuickCompletions

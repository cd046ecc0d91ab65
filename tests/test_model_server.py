"""The tests' own model: what it remembers of its requests."""

import asyncio
from typing import Any

import pytest

from tests.model_server import Model

# It needs no database: once is enough.
pytestmark = pytest.mark.sqlite


class ResetConnection:
    """The server's side of a connection that its client has reset."""

    def __init__(self) -> None:
        self.pieces = 0

    def write(self, piece: bytes) -> None:
        self.pieces += 1
        # The head and one word go out.
        if self.pieces > 2:
            raise RuntimeError("The handler is closed.")


async def test_a_word_that_fails_breaks_off() -> None:
    model = Model(wait=0, pause=0, words=10, hold_at=-1)
    body = {"stream": True, "messages": [{"content": "hello"}]}
    connection: Any = ResetConnection()
    with pytest.raises(ConnectionError):
        await model._respond(body, asyncio.StreamReader(), connection)
    (request,) = model.requests
    assert request.broke_off
    assert request.ended >= request.first > 0

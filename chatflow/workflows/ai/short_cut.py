"""The way of a model's words to whoever shows them, past the libraries that read its answer.

An SDK and pydantic-ai take longer to read a few words than a model to say them: with hundreds of
models at once that is most of what their words cost. So where these are nothing but the next words
of an answer that has begun, they are heard as they come in. The libraries are told them too, but
together, before whatever comes next or at the end: the response is theirs as before.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Takes the next words of an answer; says whether it has, else they come by the libraries. Awaited
# in the task that makes the request.
Hear = Callable[[str], Awaitable[bool]]

_hearing: ContextVar[Hear | None] = ContextVar("hearing", default=None)


@contextmanager
def heard_by(hear: Hear) -> Iterator[None]:
    """Let *hear* hear the words of the requests that are made within."""
    token = _hearing.set(hear)
    try:
        yield
    finally:
        _hearing.reset(token)


def hearing() -> Hear | None:
    """Return who hears the words of the present request, if anybody does."""
    return _hearing.get()

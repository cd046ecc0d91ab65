"""How a step is called in the record: by its name and its occurrence, inside of other steps."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chatflow.workflows.store import events

# A step's full name, and its number among those of that name.
Key = tuple[str, int]
NAME_LENGTH = 200
# Characters of the digest that tells two names apart whose beginnings are the same.
DIGEST_LENGTH = 16
# The name under which the choice of a workflow is recorded.
CHOOSING = "Choosing the workflow"
# What another workflow had done before it handed the message over to the chosen one.
HANDED_OVER = f"{CHOOSING}: "
# And that of a summary for the memory.
SUMMARISING = "Summarising the conversation"

# The path of the step that is being run, in this thread or asyncio task.
inside: ContextVar[str] = ContextVar("inside", default="")


@contextmanager
def within(path: str) -> Iterator[None]:
    """Let the steps that are taken meanwhile, in this thread or asyncio task, belong to *path*."""
    token = inside.set(path)
    try:
        yield
    finally:
        inside.reset(token)


def path_of(key: Key) -> str:
    """Return the prefix of the names of the steps inside the step *key*."""
    return f"{key[0]}#{key[1]} > "


# What was recorded of a choice by a request of its own.
FIRST_CHOICE = path_of((CHOOSING, 1))


def full_name(name: str) -> str:
    """Return the name under which a step is recorded that is called *name* here."""
    path, own = inside.get(), events.clean(name)
    if len(path) + len(own) <= NAME_LENGTH:
        return f"{path}{own}"
    # Only its own part is cut: steps are found by the path that their names begin with.
    # Where that leaves no room, the path is cut as well: such a step is done once in each attempt,
    # but an attempt that resumes the steps around it doesn't know it again.
    digest = hashlib.sha256(f"{path}{own}".encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{path}{own}"[: NAME_LENGTH - DIGEST_LENGTH - 1] + f"~{digest}"


def is_choice(name: str) -> bool:
    """Return whether the step is part of the choice of a workflow, which no workflow counts."""
    return name.startswith(CHOOSING)


def is_aside(name: str) -> bool:
    """Return whether the step is no part of the answer, but goes on beside it."""
    return name.startswith((CHOOSING, SUMMARISING))

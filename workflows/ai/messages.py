"""A conversation, as ``ctx.ai`` takes it."""

from collections.abc import Sequence
from typing import Literal, TypedDict


class ChatMessage(TypedDict):
    """One message of it."""

    role: Literal["system", "user", "assistant"]
    content: str


def as_messages(prompt: str | Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the conversation that *prompt* is, or begins.

    Raises:
        ValueError: it doesn't end with the user's words.
    """
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    messages = list(prompt)
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("The last message to a model must be the user's.")
    return messages

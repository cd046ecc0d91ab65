"""A conversation, as ``ctx.ai`` takes it."""

from collections.abc import Sequence
from typing import Literal, TypedDict


class ChatMessage(TypedDict):
    """One message of it."""

    role: Literal["system", "user", "assistant"]
    content: str


def as_messages(prompt: str | Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the conversation that *prompt* is, or begins.

    Two user messages in a row, as after an answer that failed, become one: the templates of some
    models refuse two.

    Raises:
        ValueError: it doesn't end with the user's words.
    """
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    messages = list(prompt)
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("The last message to a model must be the user's.")
    return _merge(messages)


def _merge(messages: list[ChatMessage]) -> list[ChatMessage]:
    merged: list[ChatMessage] = []
    for message in messages:
        before = merged[-1] if merged else None
        if before is None or before["role"] != message["role"] or before["role"] == "system":
            merged.append(message)
        else:
            text = f"{before['content']}\n\n{message['content']}"
            merged[-1] = {"role": message["role"], "content": text}
    return merged

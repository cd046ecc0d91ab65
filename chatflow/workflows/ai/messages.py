"""A conversation, as ``ctx.ai`` takes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict


@dataclass(frozen=True)
class File:
    """A file that goes with a user's message, for models that take such.

    Args:
        content: its bytes.
        media_type: what they are, such as ``image/png`` or ``application/pdf``.
    """

    content: bytes
    media_type: str


@dataclass(frozen=True)
class SentFile:
    """A file that came with the user's message; see Context.files.

    Args:
        id: of the document that it is.
        name: the file's.
        media_type: what it is, such as ``image/png`` or ``text/markdown``.
        size: in bytes.
    """

    id: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Quotation:
    """The text of a file, for a model; no words of the user's."""

    text: str


class ChatMessage(TypedDict):
    """One message of it."""

    role: Literal["system", "user", "assistant"]
    content: str
    files: NotRequired[Sequence[File | SentFile | Quotation]]


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
            merged[-1] = _join(before, message)
    return merged


def _join(one: ChatMessage, other: ChatMessage) -> ChatMessage:
    text = f"{one['content']}\n\n{other['content']}"
    joined: ChatMessage = {"role": other["role"], "content": text}
    if files := [*one.get("files", ()), *other.get("files", ())]:
        joined["files"] = files
    return joined

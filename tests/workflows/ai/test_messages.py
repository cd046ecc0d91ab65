"""Conversations, as ``ctx.ai`` takes them."""

import pytest

from chatflow.workflows.ai.messages import ChatMessage, File, as_messages


def say(role: str, content: str) -> ChatMessage:
    return {"role": role, "content": content}  # type: ignore[typeddict-item]


def test_it_works() -> None:
    assert as_messages("Hello") == [say("user", "Hello")]
    talk = [say("user", "Hello"), say("assistant", "Hello."), say("user", "Who am I?")]
    assert as_messages(talk) == talk


def test_nobody_speaks_twice_in_a_row() -> None:
    """The templates of some models refuse that."""
    talk = [
        say("system", "Be short."),
        say("system", "Be kind."),
        say("user", "a"),
        say("user", "b"),
        say("assistant", "c"),
        say("assistant", "d"),
        say("user", "e"),
        say("user", "f"),
        say("user", "g"),
    ]

    assert as_messages(talk) == [
        say("system", "Be short."),
        say("system", "Be kind."),
        say("user", "a\n\nb"),
        say("assistant", "c\n\nd"),
        say("user", "e\n\nf\n\ng"),
    ]
    assert talk[2] == say("user", "a")


def test_files_stay_with_their_words() -> None:
    one, other = File(b"1", "image/png"), File(b"2", "application/pdf")
    talk: list[ChatMessage] = [
        {"role": "user", "content": "a", "files": [one]},
        {"role": "user", "content": "b", "files": [other]},
    ]

    assert as_messages(talk) == [{"role": "user", "content": "a\n\nb", "files": [one, other]}]


@pytest.mark.parametrize("talk", [[], [say("assistant", "Hello.")]])
def test_the_user_has_the_last_word(talk: list[ChatMessage]) -> None:
    with pytest.raises(ValueError, match="must be the user's"):
        as_messages(talk)

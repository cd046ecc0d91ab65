"""What a client's request says."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatflow.answers.errors import Refused
from chatflow.endpoints.openai import asking


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hello", "hello"),
        ([{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
        ([{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}], "a"),
        ([{"type": ["text"], "text": "a"}, {"type": "text", "text": 7}, None, "x"], ""),
        (None, ""),
        ({"type": "text"}, ""),
        (7, ""),
    ],
)
def test_words_of_a_message(content: Any, words: str) -> None:
    assert asking.words_of(content) == words


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_there_must_be_words(text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        asking.words(text, "input")
    assert list(raised.value.detail) == ["input"]


@pytest.mark.parametrize("value", [7, [], {}, "", "..", "a\0", "x" * 256, None])
def test_a_name_that_no_conversation_has(value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        asking.session_key(value, "metadata")
    assert set(raised.value.detail) == {"metadata"}


@pytest.mark.parametrize("value", [0, "true", [], {}])
def test_a_flag(value: Any) -> None:
    with pytest.raises(ValidationError):
        asking.flag({"stream": value}, "stream")
    assert asking.flag({"stream": None}, "stream") is False
    assert asking.flag({}, "store", default=True) is True
    assert asking.flag({"stream": True}, "stream") is True


@pytest.mark.parametrize("value", [0, [], {}])
def test_a_text(value: Any) -> None:
    with pytest.raises(ValidationError):
        asking.text({"model": value}, "model")
    with pytest.raises(ValidationError):
        asking.metadata(
            {"metadata": value or [1]} if not isinstance(value, dict) else {"metadata": 1}
        )


def test_an_unknown_model() -> None:
    with pytest.raises(Refused) as raised:
        asking.wanted(Request(RequestFactory().get("/")), "nope\0")
    found = raised.value.problem
    assert (found.status, found.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("status", "final"), [(200, None), (409, "false"), (429, None), (500, "false"), (503, None)]
)
def test_a_final_answer_is_not_asked_for_again(
    rf: RequestFactory, status: int, final: str | None
) -> None:
    view = asking.once(lambda request: HttpResponse(status=status))
    assert view(rf.post("/")).headers.get("x-should-retry") == final

"""What OpenAI's two protocols have in common."""

from typing import Any

import pytest

from chatflow.dialects.openai import OpenAI, citation, has_been_said, tokens
from chatflow.wire.problems import Problem


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (400, "invalid", "invalid_request_error", "invalid"),
        (401, "unauthenticated", "invalid_request_error", "invalid_api_key"),
        (404, "not_found", "invalid_request_error", "response_not_found"),
        (429, "rate_limited", "rate_limit_error", "rate_limited"),
        (503, "unavailable", "server_error", "unavailable"),
    ],
)
def test_an_error(status: int, code: str, kind: str, told: str) -> None:
    found = Problem(status=status, code=code, error="No.")
    assert OpenAI.refusal(found) == {
        "error": {"message": "No.", "type": kind, "param": None, "code": told}
    }


def test_an_error_names_what_is_wrong() -> None:
    found = Problem(status=400, code="invalid", error="No.", errors={"input": ["No."]})
    assert OpenAI.refusal(found)["error"]["param"] == "input"


@pytest.mark.parametrize(
    ("words", "said"), [("Hello\n", True), ("Well. Hello", True), ("Hello you", False), ("", False)]
)
def test_an_answer_has_been_said(words: str, said: bool) -> None:
    assert has_been_said("Hello", words) is said


def test_what_no_page_may_link_to_is_no_address() -> None:
    assert citation({"title": "Evil", "url": "javascript:alert(1)"}, 3)["url"] == ""


def test_tokens() -> None:
    assert tokens({"input_tokens": 3, "output_tokens": 4, "requests": 1}) == (3, 4)
    assert tokens({}) == tokens(None) == (0, 0)


@pytest.mark.parametrize("source", [{"title": "T"}, {"title": "T", "url": None}])
def test_a_source_without_an_address(source: dict[str, Any]) -> None:
    assert citation(source, 5) == {"url": "", "title": "T", "start_index": 0, "end_index": 5}

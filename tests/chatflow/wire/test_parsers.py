import pytest
from rest_framework.exceptions import ParseError

from chatflow.wire.parsers import DEEPEST, parse_json, parse_object


def nested(levels: int) -> bytes:
    return b'{"a":[' * (levels // 2) + b"1" + b"]}" * (levels // 2)


def test_it_works() -> None:
    assert parse_json(b'[1, {"a": "\xc3\xa9"}]') == [1, {"a": "\u00e9"}]
    assert parse_object(nested(DEEPEST))


def test_what_is_long_is_not_deep() -> None:
    body = b"[" + b",".join([nested(20)] * 100) + b',"' + b"[" * 1000 + b'"]'

    assert len(parse_json(body)) == 101


@pytest.mark.parametrize("body", [nested(DEEPEST + 2), b"[" + nested(DEEPEST) + b"]", b"[" * 10**5])
def test_what_is_too_deep(body: bytes) -> None:
    """Who reads it further down would find no room on the stack."""
    with pytest.raises(ParseError, match="The request body is not valid JSON"):
        parse_json(body)

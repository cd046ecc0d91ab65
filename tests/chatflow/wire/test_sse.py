"""Frames of Server-Sent Events."""

import json

import pytest

from chatflow.wire.sse import KEEP_ALIVE, frame


def test_it_works() -> None:
    assert frame({"a": 1}, event_id=7) == b'id: 7\ndata: {"a":1}\n\n'


def test_retry_stands_in_a_data_frame() -> None:
    # A block without data crashes a Python client.
    assert frame({}, retry=1000) == b"retry: 1000\ndata: {}\n\n"


def test_a_sign_of_life_is_a_comment() -> None:
    assert KEEP_ALIVE.startswith(b": ")
    assert KEEP_ALIVE.endswith(b"\n\n")


@pytest.mark.parametrize(
    "text", ["two\nlines", "two\r\nlines", "a\rb", "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg", "ü😀"]
)
def test_data_is_one_line_for_every_client(text: str) -> None:
    sent = frame({"text": text}, event_id=1).decode()
    lines = sent.splitlines()
    assert lines[0] == "id: 1"
    assert json.loads(lines[1].removeprefix("data: ")) == {"text": text}
    assert lines[2:] == [""]
    assert "\r" not in sent


def test_words_stay_readable() -> None:
    assert "ü😀".encode() in frame({"text": "ü😀"})


def test_half_a_surrogate_pair_breaks_nothing() -> None:
    assert b"?" in frame({"text": "\ud800"})


def test_a_frame_may_have_a_type() -> None:
    assert frame({}, event="response.created") == b"event: response.created\ndata: {}\n\n"

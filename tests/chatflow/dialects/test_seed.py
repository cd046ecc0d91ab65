"""The seed's dialect."""

import json
from typing import Any

import pytest

from chatflow.dialects.seed import Seed
from chatflow.workflows.models import Event, Job
from tests.chatflow.dialects.contract import NOON, DialectContract

SEED = Seed(Job(public_id="workflow_x"))


def event(type: str, **data: Any) -> Event:
    return Event(seq=3, type=type, progress=50, message="m", data=data, attempt=1, created_at=NOON)


def data(frame: bytes) -> Any:
    """Return what a client finds in ``event.data``."""
    return json.loads(frame.partition(b"data: ")[2])


class TestSeed(DialectContract):
    name = "seed"
    dialect = Seed

    def is_end(self, frame: bytes) -> bool:
        return data(frame)["status"] in ("completed", "failed", "timeout")

    def words(self, frames: list[bytes]) -> str:
        text = ""
        for update in map(data, frames):
            text = text[: update.get("text_length")] + update.get("delta", "")
        return text


def test_the_bytes_of_an_event() -> None:
    assert SEED.frames(event("delta", delta="Grüße", said=["x"])) == [
        b'id: 3\ndata: {"delta":"Gr\xc3\xbc\xc3\x9fe","status":"processing","progress":50,'
        b'"message":"m","updated_at":"2026-01-13T13:45:00Z","seq":3,"type":"delta",'
        b'"job_id":"workflow_x"}\n\n'
    ]


def test_the_bytes_of_the_opening() -> None:
    opened = Job(public_id="workflow_x", progress=25, last_seq=4, updated_at=NOON)
    assert SEED.connected(opened) == (
        b'retry: 1000\ndata: {"status":"connected","progress":25,"message":"Stream connected",'
        b'"updated_at":"2026-01-13T13:45:00Z","job_id":"workflow_x","last_event_id":4}\n\n'
    )


def test_an_event_says() -> None:
    assert SEED.data(event("progress")) == {
        "status": "processing",
        "progress": 50,
        "message": "m",
        "updated_at": "2026-01-13T13:45:00Z",
        "seq": 3,
        "type": "progress",
        "job_id": "workflow_x",
    }


@pytest.mark.parametrize(
    ("type", "status"),
    [
        ("started", "processing"),
        ("step_started", "processing"),
        ("step_finished", "processing"),
        ("delta", "processing"),
        ("restarted", "processing"),
        ("completed", "completed"),
        ("failed", "failed"),
        ("timeout", "timeout"),
        ("cancelled", "failed"),
    ],
)
def test_every_type_has_one_of_the_seeds_words(type: str, status: str) -> None:
    assert SEED.data(event(type))["status"] == status


def test_the_event_says_the_rest() -> None:
    frame = SEED.data(event("delta", delta="words"))
    assert frame["delta"] == "words"


def test_but_it_can_not_pass_for_something_else() -> None:
    frame = SEED.data(event("progress", status="completed", seq=99))
    assert (frame["status"], frame["seq"]) == ("processing", 3)

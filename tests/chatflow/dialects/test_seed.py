"""The seed's dialect."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from chatflow.dialects import seed
from workflows.models import Event, Job

NOON = datetime(2026, 1, 13, 13, 45, tzinfo=UTC)


def event(type: str, **data: Any) -> Event:
    return Event(seq=3, type=type, progress=50, message="m", data=data, attempt=1, created_at=NOON)


def test_it_works() -> None:
    assert seed.frame("workflow_x", event("progress")) == {
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
    assert seed.frame("workflow_x", event(type))["status"] == status


def test_the_event_says_the_rest() -> None:
    frame = seed.frame("workflow_x", event("delta", delta="words"))
    assert frame["delta"] == "words"


def test_but_it_can_not_pass_for_something_else() -> None:
    frame = seed.frame("workflow_x", event("progress", status="completed", seq=99))
    assert (frame["status"], frame["seq"]) == ("processing", 3)


def test_connected() -> None:
    job = Job(public_id="workflow_x", progress=25, last_seq=4, updated_at=NOON)
    assert seed.connected(job) == {
        "status": "connected",
        "progress": 25,
        "message": "Stream connected",
        "updated_at": "2026-01-13T13:45:00Z",
        "job_id": "workflow_x",
        "last_event_id": 4,
    }


def test_moments_are_in_utc() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    assert seed.iso(elsewhere) == "2026-01-13T13:45:00Z"

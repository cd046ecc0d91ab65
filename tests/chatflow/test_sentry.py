"""What is taken out of an event before Sentry gets it; tests/acceptance sends real ones."""

from typing import Any

from chatflow import sentry
from chatflow.workflows import logs


def make() -> dict[str, Any]:
    frames = [{"function": "f", "vars": {"text": "xylophone"}}]
    return {
        "exception": {
            "values": [
                {"type": "ValueError", "value": "no xylophone", "stacktrace": {"frames": frames}}
            ]
        },
        "request": {
            "url": "https://h/ai-demo/chat/send",
            "method": "POST",
            "query_string": "token=xylophone",
            "data": {"message": "xylophone"},
            "cookies": {"sessionid": "xylophone"},
            "headers": {"Authorization": "Bearer xylophone"},
        },
        "breadcrumbs": {"values": [{"message": "INSERT … 'xylophone'"}]},
        "extra": {"sys.argv": ["xylophone"]},
        "user": {"ip_address": "203.0.113.9", "username": "xylophone"},
    }


def test_in_a_job_nothing_is_quoted() -> None:
    with logs.telling(job="workflow_1", attempt=2, user=7, request="r"):
        event = sentry.tell(make(), {})
    assert "xylophone" not in str(event)
    assert event["tags"] == {"job": "workflow_1", "attempt": "2", "request": "r"}
    assert event["user"] == {"id": "7"}
    assert event["request"] == {"url": "https://h/ai-demo/chat/send", "method": "POST"}
    assert event["exception"]["values"][0]["value"] == sentry.HIDDEN


def test_elsewhere_an_exception_says_what_it_says() -> None:
    event = sentry.tell(make(), {})
    assert event["exception"]["values"][0]["value"] == "no xylophone"
    assert event["user"] == {}
    assert str(event).count("xylophone") == 1


def test_an_event_of_nothing() -> None:
    assert sentry.tell({}, {}) == {"tags": {}, "user": {}}

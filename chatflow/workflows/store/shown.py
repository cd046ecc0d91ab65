"""The words that a job has shown to its user, as its log has them."""

from typing import Any

from chatflow.workflows.models import Event, Job


def follow(text: str, event: Event) -> str:
    """Return the words that stand after *event*, where *text* stood before it."""
    return after(text, event.type, event.data)


def after(text: str, type: str, data: dict[str, Any]) -> str:
    """See follow(); by the columns of the event, where many are read."""
    if type == Event.Type.DELTA:
        return text + str(data["delta"])
    if type == Event.Type.RESTARTED:
        return text[: data["text_length"]]
    return text


def read_words(job: Job) -> str:
    """Return the words that a job has shown, in all its attempts, and that still stand."""
    text = ""
    types = (Event.Type.DELTA, Event.Type.RESTARTED)
    for event in Event.objects.filter(job=job, type__in=types).order_by("seq"):
        text = follow(text, event)
    return text

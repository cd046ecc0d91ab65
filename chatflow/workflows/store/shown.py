"""The words that a job has shown to its user, as its log has them."""

from chatflow.workflows.models import Event, Job


def follow(text: str, event: Event) -> str:
    """Return the words that stand after *event*, where *text* stood before it."""
    if event.type == Event.Type.DELTA:
        return text + str(event.data["delta"])
    if event.type == Event.Type.RESTARTED:
        return text[: event.data["text_length"]]
    return text


def read_words(job: Job) -> str:
    """Return the words that a job has shown, in all its attempts, and that still stand."""
    text = ""
    types = (Event.Type.DELTA, Event.Type.RESTARTED)
    for event in Event.objects.filter(job=job, type__in=types).order_by("seq"):
        text = follow(text, event)
    return text

"""What jobs have said so far, as their owner sees it."""

from collections.abc import Iterable

from chatflow.workflows.models import Event, Job
from chatflow.workflows.store.shown import follow


def shown_words(jobs: Iterable[Job]) -> dict[int, str]:
    """Return the streamed words that stand, of many jobs; one query for all of them.

    Returns:
        By the jobs' primary keys; of a job that has shown none there is nothing.
    """
    types = (Event.Type.DELTA, Event.Type.RESTARTED)
    words: dict[int, str] = {}
    for event in Event.objects.filter(job__in=jobs, type__in=types).order_by("job_id", "seq"):
        words[event.job_id] = follow(words.get(event.job_id, ""), event)
    return words

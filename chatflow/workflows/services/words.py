"""What jobs have said so far, as their owner sees it."""

from collections.abc import Iterable

from chatflow.workflows.models import Event, Job
from chatflow.workflows.store.shown import after


def shown_words(jobs: Iterable[Job]) -> dict[int, str]:
    """Return the streamed words that stand, of many jobs; one query for all of them.

    Returns:
        By the jobs' primary keys; of a job that has shown none there is nothing.
    """
    types = (Event.Type.DELTA, Event.Type.RESTARTED)
    words: dict[int, str] = {}
    said = Event.objects.filter(job__in=jobs, type__in=types).order_by("job_id", "seq")
    for job, kind, data in said.values_list("job_id", "type", "data"):
        words[job] = after(words.get(job, ""), kind, data)
    return words

"""The traces of earlier runs of a job, read from the database."""

from dataclasses import dataclass, field

from chatflow.workflows.models import Event, Job, Step
from chatflow.workflows.running.step_keys import Key
from chatflow.workflows.store.shown import follow


@dataclass
class Output:
    """The progress and the words that a job has shown to its user.

    Args:
        text: the words that it streamed and that still stand.
        reports: its reports of progress, as pairs of percent and message.
    """

    text: str = ""
    reports: set[tuple[int, str]] = field(default_factory=set)


def read_steps(job: Job) -> dict[Key, Step]:
    """Return the steps that the job's conversation has recorded so far, in their order."""
    if job.attempt == 1 and job.root_id is None:
        # Nothing ran yet.
        return {}
    steps = Step.objects.filter(root=job.conversation_id).order_by("id")
    return {(step.name, step.occurrence): step for step in steps}


def read_output(job: Job) -> Output:
    """Return a job's output so far, in all its attempts."""
    output = Output()
    types = (Event.Type.DELTA, Event.Type.RESTARTED, Event.Type.PROGRESS)
    for event in Event.objects.filter(job=job, type__in=types).order_by("seq"):
        output.text = follow(output.text, event)
        if event.type == Event.Type.PROGRESS:
            percent, message = event.data["said"]
            output.reports.add((percent, message))
    return output


def read_lineage(job: Job) -> set[int]:
    """Return the primary keys of the job and of those that it retries."""
    keys, older = {job.pk}, job.retry_of
    while older is not None:
        keys.add(older.pk)
        older = older.retry_of
    return keys

"""Where a job comes from, and what came of it: turns, retries, actions."""

from dataclasses import dataclass

from chatflow.operations.job_page.records import Records
from chatflow.operations.job_page.wording import state_of, tone_of
from chatflow.workflows.models import STAFF, Job


@dataclass(frozen=True)
class Relative:
    """A job that has to do with the one that is shown.

    Args:
        job: it.
        how: what it is to that, in words.
        state: how it stands, in a word.
        tone: the name of that state's colour.
    """

    job: Job
    how: str
    state: str
    tone: str


@dataclass(frozen=True)
class Lineage:
    """The jobs in front of one, and those behind it.

    Args:
        before: those that came before, the oldest first.
        after: those that came of it, or later.
        is_retried: one of these does it again.
        instead_of: the public id of the job in whose place it was sent; empty for none.
    """

    before: list[Relative]
    after: list[Relative]
    is_retried: bool
    instead_of: str


def make_lineage(found: Records) -> Lineage:
    """Return the jobs that a job has to do with."""
    job = found.job
    before = [_relative(found, found.started_by, "Offered the action")] if found.started_by else []
    after: list[Relative] = []
    for other in found.turns:
        if other.pk < job.pk:
            before.append(_relative(found, other, _before(other, job)))
        else:
            after.append(_relative(found, other, _after(other, job)))
    after += [_relative(found, other, "Begun by its action") for other in found.started]
    after += [_relative(found, other, "Sent in its place") for other in found.sent_instead]
    note = job.options.get(STAFF) or {}
    return Lineage(
        before=before,
        after=after,
        is_retried=any(other.retry_of_id == job.pk for other in found.turns),
        instead_of=str(note.get("instead_of", "")),
    )


def _before(other: Job, job: Job) -> str:
    if job.retry_of_id == other.pk:
        return "Is retried here"
    if job.root_id == other.pk:
        return "Began the conversation"
    return "Retry" if other.retry_of_id else "Earlier turn"


def _after(other: Job, job: Job) -> str:
    if other.retry_of_id == job.pk:
        return "Retried as"
    return "Later retry" if other.retry_of_id else "Later turn"


def _relative(found: Records, job: Job, how: str) -> Relative:
    asks = job.pk == found.job.session.open_job_id
    return Relative(job, how, state_of(job, asks=asks), tone_of(job, asks=asks))

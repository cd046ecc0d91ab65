"""The turns of a conversation: what belongs to one, in which order, and how its steps went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from chatflow.workflows.exceptions import MessageNotFound
from chatflow.workflows.models import Event, Job, Message, Session, State, Step
from chatflow.workflows.registry import Workflow
from chatflow.workflows.running.step_keys import HANDED_OVER

StepState = Literal["running", "finished", "failed", "stopped"]
# How a step stands that began and did not finish, by its job's state.
UNFINISHED: dict[str, StepState] = {
    State.QUEUED: "running",
    State.PROCESSING: "running",
    State.FAILED: "failed",
    State.TIMEOUT: "stopped",
    State.CANCELLED: "stopped",
}
STEP_TYPES = (Event.Type.STARTED, Event.Type.STEP_STARTED, Event.Type.STEP_FINISHED)


@dataclass(frozen=True)
class StepShown:
    """A step as people see it.

    Args:
        name: its own name, without those of the steps around it.
        state: how it stands.
        duration_ms: milliseconds that it took; None while it runs or where it broke off.
    """

    name: str
    state: StepState
    duration_ms: int | None


@dataclass(frozen=True)
class Turn:
    """A job as a turn of its conversation.

    Args:
        job: the job.
        can_retry: services.retry() would do it again.
        steps: in the order in which they began.
        words: what the user saw of an answer that broke off.
        retry_of: the job that this one did again.
    """

    job: Job
    can_retry: bool
    steps: list[StepShown] = field(default_factory=list)
    words: str = ""
    retry_of: Job | None = None


def load_jobs(session: Session, messages: Sequence[Message]) -> dict[int, Job]:
    """Return the jobs of *messages* and the retries of them, by primary key. One query."""
    keys = [row.job_id for row in messages if row.job_id is not None]
    if not keys:
        return {}
    found = session.jobs.filter(pk__gte=min(keys)).select_related("feedback")
    return {job.pk: job for job in found.defer("traceback", "input").order_by("pk")}


def find_origin(job_id: int, jobs: Mapping[int, Job]) -> int:
    """Return the primary key of the job that *job_id*, perhaps a retry, goes back to."""
    while job_id in jobs and jobs[job_id].retry_of_id in jobs:
        job_id = jobs[job_id].retry_of_id or job_id
    return job_id


def in_order(messages: Sequence[Message], jobs: Mapping[int, Job]) -> list[Message]:
    """Return *messages* turn by turn: an answer stands behind its question, whenever it came.

    Args:
        messages: in the order in which they were stored.
        jobs: of load_jobs().
    """
    places: dict[int | str, int] = {}
    for row in messages:
        places.setdefault(_turn_of(row, jobs), len(places))
    return sorted(messages, key=lambda row: (places[_turn_of(row, jobs)], row.pk))


def _turn_of(row: Message, jobs: Mapping[int, Job]) -> int | str:
    return f"message {row.pk}" if row.job_id is None else find_origin(row.job_id, jobs)


def describe(
    messages: Sequence[Message], jobs: Mapping[int, Job], workflows: Sequence[Workflow]
) -> dict[int, Turn]:
    """Return the turns to show, each by the primary key of the message that it stands with.

    That is the answer of the job; or, while there is none, the question: of several tries that of
    the last one. Two queries, whatever the length.

    Args:
        messages: of one conversation.
        jobs: of load_jobs().
        workflows: those that the user may use.
    """
    placed = _place(messages, jobs)
    shown = {job.pk: job for job in placed.values()}
    steps = list_steps(list(shown.values()))
    retried = {job.retry_of_id for job in jobs.values()}
    known = {workflow.name for workflow in workflows}
    turns = {}
    for row in messages:
        job = placed.get(row.pk)
        if job is None:
            continue
        can_retry = job.is_unsuccessful and job.pk not in retried and job.workflow in known
        is_partial = row.role == Message.Role.ASSISTANT and job.is_unsuccessful
        words = row.content if is_partial else ""
        earlier = jobs.get(job.retry_of_id) if job.retry_of_id else None
        turns[row.pk] = Turn(job, can_retry, steps.get(job.pk, []), words, earlier)
    return turns


def _place(messages: Sequence[Message], jobs: Mapping[int, Job]) -> dict[int, Job]:
    answered = {
        row.job_id: row.pk
        for row in messages
        if row.role == Message.Role.ASSISTANT and row.job_id in jobs
    }
    latest = {find_origin(key, jobs): job for key, job in jobs.items()}
    placed = {pk: jobs[key] for key, pk in answered.items() if key is not None}
    for row in messages:
        if row.role == Message.Role.USER and row.job_id is not None and row.job_id in jobs:
            last = latest[find_origin(row.job_id, jobs)]
            if last.pk not in answered:
                placed[row.pk] = last
    return placed


def list_steps(jobs: Sequence[Job]) -> dict[int, list[StepShown]]:
    """Return the steps of each job, by its primary key: at most two queries for all of them."""
    steps: dict[int, list[StepShown]] = {}
    found = Step.objects.filter(job__in=[job.pk for job in jobs], question=False)
    rows = list(found.only("job_id", "name", "duration_ms", "created_at"))
    # By their beginnings, as the stream has told of them.
    rows.sort(key=lambda step: (_began(step), step.pk))
    for step in rows:
        shown = StepShown(_own_name(step.name), "finished", step.duration_ms)
        steps.setdefault(step.job_id, []).append(shown)
    unfinished = [job for job in jobs if job.state != State.COMPLETED]
    for job, names in _find_unfinished(unfinished):
        broken = [StepShown(name, UNFINISHED[job.state], None) for name in names]
        steps.setdefault(job.pk, []).extend(broken)
    return steps


def _began(step: Step) -> datetime:
    return step.created_at - timedelta(milliseconds=step.duration_ms)


def _own_name(name: str) -> str:
    return name.removeprefix(HANDED_OVER).rsplit(" > ", 1)[-1]


def _find_unfinished(jobs: Sequence[Job]) -> list[tuple[Job, list[str]]]:
    """Return the names of the steps that each job's last attempt began and did not finish."""
    if not jobs:
        return []
    logs = Event.objects.filter(job__in=[job.pk for job in jobs], type__in=STEP_TYPES)
    rows = logs.order_by("job", "seq").values_list("job", "type", "data__step__name")
    open_steps: dict[int, list[str]] = {job.pk: [] for job in jobs}
    for job_id, kind, name in rows:
        names = open_steps[job_id]
        if kind == Event.Type.STARTED:
            names.clear()
        elif kind == Event.Type.STEP_STARTED:
            names.append(name)
        elif name in names:
            names.remove(name)
    return [(job, open_steps[job.pk]) for job in jobs]


def cut_from(session: Session, message_id: int) -> set[int]:
    """Cut a message of the user's, and all that follows it, off a conversation.

    The rows stay, marked. The memory of the conversation is made anew without them, a question that
    they asked is closed, and with it its request for approval; actions that they offered are gone.
    An action that one of them used stays used: what it did is done.

    Args:
        session: locked, and idle.
        message_id: the message's primary key.

    Returns:
        The primary keys of the cut messages.

    Raises:
        MessageNotFound: the user said no such message there, or it was cut already.
    """
    # No more than puts them in order. Without `session` each row would be read by itself again.
    rows = session.messages.filter(cut=False).order_by("pk")
    kept = list(rows.only("session", "role", "job"))
    jobs = {job.pk: job for job in session.jobs.only("session", "retry_of")}
    ordered = in_order(kept, jobs)
    keys = [row.pk for row in ordered]
    if message_id not in keys or ordered[keys.index(message_id)].role != Message.Role.USER:
        raise MessageNotFound
    gone = ordered[keys.index(message_id) :]
    cut = {row.pk for row in gone}
    session.messages.filter(pk__in=cut).update(cut=True)
    if session.open_job_id in {row.job_id for row in gone}:
        session.open_job = None
    if session.summary_upto >= min(cut):
        session.summary, session.summary_upto = "", 0
    session.save(update_fields=["open_job", "summary", "summary_upto"])
    return cut


def is_cut(job: Job) -> bool:
    """Say whether the message that *job* answers was cut off its conversation."""
    origin = job
    while origin.retry_of is not None:
        origin = origin.retry_of
    return Message.objects.filter(job=origin.pk, cut=True).exists()

"""What logs, traces and metrics are told of an attempt: ids, names and figures."""

from collections.abc import Iterator
from contextlib import contextmanager

from chatflow.workflows import clock, logs, tracing
from chatflow.workflows.metrics.series import JOB_RUNNING
from chatflow.workflows.models import Job, State
from chatflow.workflows.store.lifecycle import Outcome


@contextmanager
def attempt(job: Job) -> Iterator[None]:
    """Tell what is logged meanwhile as this attempt's, and be in its span.

    Args:
        job: as claimed.
    """
    user: str | int = job.user_id
    with logs.telling(job=str(job), attempt=job.attempt, worker=job.worker, user=user):
        if not tracing.is_on():
            yield
            return
        parent = tracing.parent_of(job.options)
        about = _describe(job)
        if job.claimed_at is not None:
            since = max(job.created_at, job.available_at)
            tracing.tell("queue", parent, min(since, job.claimed_at), job.claimed_at, about)
        retried = tracing.parent_of(job.options, tracing.RETRIED)
        name = f"workflow {job.workflow}"
        with tracing.span(name, "CONSUMER", about, parent=parent, retried=retried):
            yield


def end(job: Job, outcome: Outcome) -> None:
    """Take note of how an attempt has ended its job."""
    if job.claimed_at is not None:
        ran = clock.seconds_since(job.claimed_at)
        JOB_RUNNING.observe(ran, job.workflow, str(outcome.state))
    if (span := tracing.current()) is not None:
        span.set_attribute("chatflow.state", str(outcome.state))
        if outcome.state in (State.FAILED, State.TIMEOUT):
            tracing.fail(span, outcome.code or str(outcome.state))


def _describe(job: Job) -> tracing.Attributes:
    return {
        "chatflow.job": str(job),
        "chatflow.attempt": job.attempt,
        "chatflow.queue": job.queue,
        "chatflow.workflow": job.workflow,
        "user.id": str(job.user_id),
    }

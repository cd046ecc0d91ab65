"""Running a sync job in the caller's own thread."""

import time
from functools import partial

from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import SessionBusy
from chatflow.workflows.models import ActionUse, Job, Message, Session, State
from chatflow.workflows.running import runner
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.store.outage import despite_conflicts

# Seconds between two tries of a sync job that waits for its turn.
TURN_POLL = 0.05


def run_inline(job: Job, *, wait: float = 10) -> Job:
    """Run a sync job in this thread, as soon as it is its turn in the session.

    Args:
        job: as started.
        wait: seconds that it may wait for its turn.

    Returns:
        The job, which has ended, unless this process lost it to another one.

    Raises:
        SessionBusy: its turn did not come; the job and its message are forgotten.
    """
    give_up_at = time.monotonic() + wait
    session = job.session
    while job.inline and not job.is_finished:
        claim = partial(lifecycle.claim_inline, job, lifecycle.this_process())
        claimed = despite_conflicts(claim)
        if claimed is not None:
            outcome = runner.run(claimed, interruptible=False)
            if outcome is not None:
                return _apply_outcome(claimed, session, outcome)
        elif job.attempt == 0 and time.monotonic() >= give_up_at:
            _withdraw(job)
            raise SessionBusy
        else:
            time.sleep(TURN_POLL)
        job.refresh_from_db()
        # The job was read anew; its session need not be.
        job.session = session
    return job


def _apply_outcome(job: Job, session: Session, outcome: Outcome) -> Job:
    """Return a claimed job with its outcome; its other fields are as they were at the claim.

    So the row need not be read again for the response.
    """
    job.session = session
    job.state, job.code, job.error = outcome.state, outcome.code, outcome.error
    job.response, job.actions, job.sources = outcome.response, outcome.actions, outcome.sources
    job.awaiting, job.metadata = outcome.awaiting, outcome.metadata
    return job


def _withdraw(job: Job) -> None:
    """Delete a job that never began, and its message."""
    with atomic():
        waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED, attempt=0)
        if waiting.select_for_update().exists():
            Message.objects.filter(job=job).delete()
            # The action that started it can be used again.
            ActionUse.objects.filter(job=job).delete()
            waiting.delete()

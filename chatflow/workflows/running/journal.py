"""A line in the log for the start and the end of each attempt, for whoever wants to read along.

Only where the logger's level is INFO: see ``LOGGING`` in the settings. A record has the job and,
where it went wrong, the traceback, or else a sentence.
"""

import logging

from chatflow.workflows import clock
from chatflow.workflows.models import Job, State
from chatflow.workflows.store.lifecycle import Outcome

logger = logging.getLogger(__name__)


def tell_start(job: Job) -> None:
    _tell(job, "began")


def tell_end(job: Job, outcome: Outcome) -> None:
    what = "asked" if outcome.awaiting else outcome.state
    error = "" if outcome.state == State.CANCELLED else outcome.error
    _tell(job, what, outcome.traceback, error)


def tell_handover(job: Job) -> None:
    """Tell that a job goes on as one of another workflow."""
    _tell(job, "takes over")


def tell_return(job: Job, traceback: str = "") -> None:
    """Tell that a job was given back to the queue.

    Args:
        job: as it was claimed.
        traceback: of the error for which it is tried again.
    """
    _tell(job, "was given back", traceback)


def _tell(job: Job, what: str, traceback: str = "", error: str = "") -> None:
    if logger.isEnabledFor(logging.INFO):
        since = f" after {_seconds(job):.1f} s" if what != "began" else ""
        extra = {"job": job, "traceback": traceback, "error": error}
        logger.info("%s %s%s: %s", job.workflow, what, since, job, extra=extra)


def _seconds(job: Job) -> float:
    """Return how long the attempt has taken."""
    return clock.seconds_since(job.claimed_at) if job.claimed_at else 0.0

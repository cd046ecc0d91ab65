"""The verbs that outsiders call: an HTTP edge, a command, the admin, a team's own code."""

from workflows.services.inline import run_inline
from workflows.services.jobs import (
    cancel,
    get_job,
    is_anybody_working,
    queue_position,
    retry,
)
from workflows.services.sessions import change_session, delete_session
from workflows.services.starts import Mode, OnBusy, Started, start, takes_long

__all__ = [
    "Mode",
    "OnBusy",
    "Started",
    "cancel",
    "change_session",
    "delete_session",
    "get_job",
    "is_anybody_working",
    "queue_position",
    "retry",
    "run_inline",
    "start",
    "takes_long",
]

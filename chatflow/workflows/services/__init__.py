"""The verbs that outsiders call: an HTTP edge, a command, the admin, a team's own code."""

from chatflow.workflows.services.feedback import give_feedback
from chatflow.workflows.services.inline import run_inline
from chatflow.workflows.services.jobs import (
    cancel,
    get_job,
    is_anybody_working,
    queue_position,
    queue_positions,
    retry,
)
from chatflow.workflows.services.reach import Reach
from chatflow.workflows.services.sessions import change_session, delete_session, open_session
from chatflow.workflows.services.starts import Mode, OnBusy, Started, start, takes_long
from chatflow.workflows.services.words import shown_words

__all__ = [
    "Mode",
    "OnBusy",
    "Reach",
    "Started",
    "cancel",
    "change_session",
    "delete_session",
    "get_job",
    "give_feedback",
    "is_anybody_working",
    "open_session",
    "queue_position",
    "queue_positions",
    "retry",
    "run_inline",
    "shown_words",
    "start",
    "takes_long",
]

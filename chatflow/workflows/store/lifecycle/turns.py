"""Turns: within a queue users take turns, whoever has sent the most.

Jobs wait in a line for each queue, priority and kind, and are claimed in the order of their turns.
A user's jobs have one turn after the other; the first has the turn of whoever is next just now. So
a job waits for as many jobs of each other user as its own user has in front of it, and for one
more at most: start-time fair queueing, with every job of the same length.

Only a job that is free says whose turn it is. One that waits for an earlier one of its session
keeps its turn while the line goes on without it, and would let newcomers in far ahead.
"""

from typing import Any

from chatflow.workflows.models import Job
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle.claims import ANYWHERE, FREE, IN_QUEUE, conditions
from chatflow.workflows.store.rows import parameters

# The turn of a job that has had one, and was given back. It goes first, and tells nobody's turn.
AHEAD = -1

FIRST = """
    (SELECT turn FROM workflows_job WHERE {line} AND priority = %(priority)s AND turn >= 0
     ORDER BY turn, id LIMIT 1)
"""
# By job_turns.
LAST_OF_USER = """
    (SELECT max(turn) FROM workflows_job
     WHERE user_id = %(user_id)s AND queue = CAST(%(queue)s AS varchar) AND is_async = %(is_async)s
       AND priority = %(priority)s AND state = 'queued' AND {not_inline} AND turn >= 0)
"""
# The turns of different queues are compared by workers who take from all of them alike. So a queue
# that was empty begins with the turn at which another one is.
NEXT_TURN = """
    CASE WHEN %(inline)s THEN {ahead} ELSE {greatest}(
        coalesce({first_free}, {first}, {first_anywhere}, 0), coalesce(1 + {last_of_user}, 0)
    ) END
"""


def next_turn() -> str:
    """Return the SQL for the turn of a job that begins to wait; turn_params() go with it."""
    database = get_database()
    words: dict[str, Any] = {
        "now": database.now(),
        **conditions(),
        "greatest": database.greatest,
        "ahead": AHEAD,
    }
    lines = {
        "first_free": f"{IN_QUEUE} AND {FREE}",
        "first": IN_QUEUE,
        "first_anywhere": f"{ANYWHERE} AND {FREE}",
    }
    parts = {name: FIRST.replace("{line}", line).format(**words) for name, line in lines.items()}
    return NEXT_TURN.format(**words, **parts, last_of_user=LAST_OF_USER.format(**words))


def turn_params(job: Job) -> dict[str, Any]:
    """Return the parameters of next_turn() for *job*."""
    return parameters(job, ("inline", "user_id", "queue", "priority", "is_async"))

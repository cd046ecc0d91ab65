"""Moving: a job that waits goes over to another queue, and takes a turn there."""

from django.db.models import Case, F, Value, When

from chatflow.workflows import clock
from chatflow.workflows.bells import get_bell
from chatflow.workflows.db import atomic
from chatflow.workflows.models import Job, State
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.lifecycle.turns import AHEAD, next_turn, turn_params
from chatflow.workflows.store.rows import expression

# Seconds to wait for a row that somebody has locked: it is being claimed, or cancelled.
PATIENCE = 2.0


def move(job: Job, queue: str) -> bool:
    """Let a waiting job wait in another queue, and ring for it.

    Its turn there is that of a job which its user has just sent; one that has had its turn, and was
    given back, goes first there too.

    Args:
        job: any; one that doesn't wait, or that its web process runs itself, stays where it is.
        queue: the name of the other queue.

    Returns:
        Whether it waits there now, and did not before.
    """
    turn = expression(next_turn(), turn_params(job) | {"queue": queue})
    with atomic():
        get_database().limit_lock_waits(PATIENCE)
        # One row by its key, and none but this one: no order of locks to keep.
        moved = (
            Job.objects.filter(pk=job.pk, state=State.QUEUED, inline=False)
            .exclude(queue=queue)
            .update(
                queue=queue,
                turn=Case(When(turn=Value(AHEAD), then=F("turn")), default=turn),
                updated_at=clock.now(),
            )
        )
        if moved:
            is_delayed = job.available_at > clock.now()
            get_bell().ring("due" if is_delayed else job.topic, job.pk)
    return bool(moved)

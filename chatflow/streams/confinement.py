"""Keeping an open stream to the jobs of one workflow, where its token is for that one only."""

from collections.abc import Sequence
from typing import Self

from chatflow.workflows.models import Event, Job
from chatflow.workflows.streaming.listeners import listeners


class Confinement:
    """Keeps the stream of a job to one workflow: the job may be handed over to another.

    That happens between two attempts, or at the beginning of one, behind its first event. So an
    attempt's workflow is certain once the attempt has done more than begin.

    Args:
        job_id: the job's primary key.
        workflow: the one whose jobs may be seen.
    """

    __slots__ = ("_attempt", "_job_id", "_workflow")

    def __init__(self, job_id: int, workflow: str) -> None:
        self._job_id = job_id
        self._workflow = workflow
        # The last one whose workflow is certain.
        self._attempt = 0

    @classmethod
    def of(cls, job_id: int, workflow: str) -> Self | None:
        """Return the job's confinement; None where all workflows may be seen."""
        return cls(job_id, workflow) if workflow else None

    async def admits(self, events: Sequence[Event]) -> bool:
        """Say whether the job's next events may be sent; a query or two for each attempt.

        Raises:
            DatabaseError: nobody knows just now.
        """
        last = events[-1]
        # A job may also end while it waits for an attempt of the other workflow.
        if not last.is_terminal and all(event.attempt == self._attempt for event in events):
            return True
        if await listeners.in_reader(_find_workflow, self._job_id) != self._workflow:
            return False
        if last.type != Event.Type.STARTED:
            self._attempt = last.attempt
        return True


def _find_workflow(job_id: int) -> str | None:
    return Job.objects.filter(pk=job_id).values_list("workflow", flat=True).first()

"""What can be done with many jobs at once: each act, for whom, and what becomes of a job by it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import Error as DatabaseError
from django.db.models import Q
from django.http import HttpRequest

from chatflow.operations import audit
from chatflow.operations.roles import may_operate
from chatflow.workflows import services
from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import ChatflowError
from chatflow.workflows.models import ACTIVE, TERMINAL, UNSUCCESSFUL, Job, State
from chatflow.workflows.services import queues
from chatflow.workflows.services.outages import is_unavailable

DELETE = "chatflow_workflows.delete_job"
STAYS = "Stays as it is."
DELETED = "Deleted."
IN_THE_WAY = "Something else was at work on it; try again."


@dataclass(frozen=True)
class Order:
    """One act, by one member of the staff.

    Args:
        request: theirs.
        reason: why they do it, for the record.
        queue: where jobs are moved.
        made: the new jobs that it has made.
    """

    request: HttpRequest
    reason: str
    queue: str = ""
    made: list[Job] = field(default_factory=list)


class BulkAct(ABC):
    """Something that can be done with many jobs."""

    name: str
    # On the button, and in front of the number of jobs.
    label: str
    # What the page says once more before it is done.
    warning = ""
    # Jobs that are taken together.
    together = 1
    is_grave = False

    def is_allowed(self, user: Any) -> bool:
        return may_operate(user)

    @abstractmethod
    def outcome(self, state: str) -> str:
        """Say what will become of a job in this state; STAYS if nothing."""

    @abstractmethod
    def do(self, jobs: Sequence[Job], order: Order) -> list[str]:
        """Do it with a few jobs, and record it; return what has become of each, in words."""


class OneByOne(BulkAct):
    def do(self, jobs: Sequence[Job], order: Order) -> list[str]:
        return [self._try(job, order) for job in jobs]

    def _try(self, job: Job, order: Order) -> str:
        """Do it with one job; that it can't be done keeps nobody from the next."""
        try:
            recorded, said = self.do_one(job, order)
        except ChatflowError as error:
            return str(error)
        except Job.DoesNotExist:
            return "Was deleted meanwhile."
        except DatabaseError as error:
            if not is_unavailable(error):
                raise
            return IN_THE_WAY
        if recorded:
            audit.record(order.request, job, self.label, order.reason, outcome=recorded)
        return said

    @abstractmethod
    def do_one(self, job: Job, order: Order) -> tuple[str, str]:
        """Do it with one job.

        Returns:
            What goes on record; empty where nothing was done. And what has become of the job.

        Raises:
            ChatflowError: it can't be done.
        """


class Cancel(OneByOne):
    name, label = "cancel", "Cancel"

    def outcome(self, state: str) -> str:
        if state == State.QUEUED:
            return "Ends at once, without having run."
        if state == State.PROCESSING:
            return "Is told to stop, and ends in a moment."
        if state == State.COMPLETED:
            return "Stays as it is; if its question is open, that is closed."
        return STAYS

    def do_one(self, job: Job, order: Order) -> tuple[str, str]:
        # Since it was looked up, a request that goes over the same jobs may have done it.
        job.refresh_from_db(fields=["state", "cancel_code"])
        asked = job.awaiting is not None
        if job.state == State.PROCESSING and job.cancel_code:
            return "", "Was told to stop already."
        current = services.cancel(job)
        if current.state == State.CANCELLED and not job.is_finished:
            said = "Cancelled."
        elif current.state == State.PROCESSING:
            said = "Told to stop."
        elif asked:
            said = "Had ended already; an open question is closed."
        else:
            return "", "Had ended already."
        return said, said


class Retry(OneByOne):
    name, label = "retry", "Retry"
    warning = (
        "Each becomes a new job of the same user; what the old one had finished isn't run again."
    )

    def outcome(self, state: str) -> str:
        if state in (*UNSUCCESSFUL, State.CANCELLED):
            return "Is done again by a new job, unless it was retried already."
        return STAYS

    def do_one(self, job: Job, order: Order) -> tuple[str, str]:
        order.made.append(services.retry(job))
        return f"As {order.made[-1]}.", "Queued again."


class Move(OneByOne):
    name, label = "move", "Move to another queue"
    warning = "A job takes the turn there that it would have if it were sent now."

    def outcome(self, state: str) -> str:
        return "Waits in the other queue." if state == State.QUEUED else STAYS

    def do_one(self, job: Job, order: Order) -> tuple[str, str]:
        if queues.move(job, order.queue):
            return f"From {job.queue} to {order.queue}.", "Moved."
        return "", "Didn't wait, or waited there already."


class Forget(BulkAct):
    name, label = "forget", "Forget"
    together = 100

    def outcome(self, state: str) -> str:
        if state in UNSUCCESSFUL:
            return "Is taken off the list of failures, if it is on it. Its owner still sees it."
        return STAYS

    def do(self, jobs: Sequence[Job], order: Order) -> list[str]:
        said = []
        for job in jobs:
            if queues.forget(Job.objects.filter(pk=job.pk)):
                said.append("Taken off the list of failures.")
                audit.record(order.request, job, self.label, order.reason, outcome=said[-1])
            else:
                said.append("Not on the list of failures.")
        return said


class Delete(BulkAct):
    name, label = "delete", "Delete"
    warning = (
        "A conversation with a workflow is deleted as a whole, with its turns, steps and events, "
        "as queue_prune does it; not while one of its turns is under way or its question is open. "
        "The messages of the session stay. There is no way back."
    )
    together = 10
    is_grave = True

    def is_allowed(self, user: Any) -> bool:
        return super().is_allowed(user) and bool(user.has_perm(DELETE))

    def outcome(self, state: str) -> str:
        if state in ACTIVE:
            return STAYS
        assert state in TERMINAL
        return "Is deleted, with all turns of its conversation, unless that goes on."

    def do(self, jobs: Sequence[Job], order: Order) -> list[str]:
        begun = {job.root_id or job.pk for job in jobs}
        turns = Job.objects.filter(Q(pk__in=begun) | Q(root__in=begun))
        known = {job.pk: job for job in turns.only("public_id")}
        try:
            # Nothing is deleted without a record.
            with atomic():
                gone = set(queues.delete([job.pk for job in jobs]))
                for key in gone & known.keys():
                    audit.record(
                        order.request, known[key], self.label, order.reason, outcome=DELETED
                    )
        except DatabaseError as error:
            if not is_unavailable(error):
                raise
            return [IN_THE_WAY] * len(jobs)
        kept = "Kept: it or its conversation goes on."
        return [DELETED if job.pk in gone else kept for job in jobs]


ACTS: tuple[BulkAct, ...] = (Cancel(), Retry(), Move(), Forget(), Delete())

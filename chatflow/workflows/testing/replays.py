"""Replaying a recorded job against today's code: the steps must be those that were recorded."""

import difflib
import uuid
from pathlib import Path
from typing import Any

from chatflow.workflows import services
from chatflow.workflows.exceptions import AttemptLost, WorkflowChanged
from chatflow.workflows.models import Job, Step
from chatflow.workflows.running import runner
from chatflow.workflows.running.record import Entered, Record
from chatflow.workflows.running.step_keys import Key, path_of
from chatflow.workflows.store import lifecycle
from chatflow.workflows.testing.cases import Case, load_case
from chatflow.workflows.testing.redaction import is_like
from chatflow.workflows.testing.runs import get_user
from chatflow.workflows.testing.script import Script
from chatflow.workflows.testing.stage import Log, staged
from chatflow.workflows.testing.time_travel import follow
from chatflow.workflows.testing.turns import Turn, make_turn
from chatflow.workflows.testing.worker import ME, lose_worker


def replay(path: str | Path, *, user: Any = None) -> Turn:
    """Run today's workflow over the record of a job, and fail if its steps are others.

    No step is run and no model is asked: what was recorded comes again, as it would for a job that
    was under way when this code was deployed.

    Args:
        path: of the file that ``manage.py export_job ID`` wrote.
        user: whose job it is to be; by default one that is made.

    Returns:
        What came of it.

    Raises:
        AssertionError: today's steps and questions are not those that were recorded; its text is
            the difference. Or the job fails today, and did not then.
    """
    # pytest shows the test's own line.
    __tracebackhide__ = True
    case = load_case(path)
    journey = Journey(case)
    log = Log()
    with staged(log, journey.make_record), Script().played():
        job = _put_in_the_middle(case, user or get_user())
        runner.run(job, interruptible=False)
        lose_worker()
        # One that was stopped is not to wait for a worker.
        job = services.cancel(job)
    journey.check(log.errors.get(job.pk))
    return make_turn([job], log)


class Journey:
    """The way of today's code through what was recorded.

    Args:
        case: the record.

    Attributes:
        came_by: the records that it came by so far.
        stranger: what it wanted to do that nobody recorded; there it was stopped.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.came_by: list[Key] = []
        self.stranger = ""
        self._names = {each.name for each in case.record}

    def make_record(self, log: Log, *arguments: Any) -> Record:
        """Return the record of its run."""
        return ReplayedRecord(self, *arguments)

    def find_name(self, name: str) -> str:
        """Return the name under which *name* was recorded: words in it may be redacted there."""
        if name in self._names:
            return name
        return next((each for each in sorted(self._names) if is_like(name, each)), name)

    def check(self, error: Exception | None) -> None:
        """Fail if today's code went another way.

        Args:
            error: what it raised.
        """
        __tracebackhide__ = True
        recorded = [(each.name, each.occurrence) for each in self.case.record]
        missed = [key for key in recorded if not self._was_passed(key)]
        # A job that failed was about to do what nobody recorded.
        strange = self.stranger and (missed or self.case.completed)
        if strange or missed or isinstance(error, WorkflowChanged):
            raise AssertionError(self._tell_difference(recorded))
        if error is not None and self.case.completed:
            raise AssertionError(f"{self.case.workflow!r} fails today: {error!r}") from error

    def _was_passed(self, key: Key) -> bool:
        """Say whether it came by a record, or by that of a step around it."""
        return any(key == each or key[0].startswith(path_of(each)) for each in self.came_by)

    def _tell_difference(self, recorded: list[Key]) -> str:
        today = [name for name, _ in self.came_by] + ([self.stranger] if self.stranger else [])
        # Nobody knows what would come behind the stranger.
        before = recorded[: len(today)] if self.stranger else recorded
        lines = difflib.ndiff([name for name, _ in before], today)
        difference = "\n".join(line for line in lines if not line.startswith("?"))
        return (
            f"{self.case.workflow!r} has changed: - was recorded, + is what it does today.\n"
            f"{difference}"
        )


class ReplayedRecord(Record):
    """Stops the run where nothing is recorded, before anything is done."""

    def __init__(self, journey: Journey, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._journey = journey
        follow(self.attempt)

    def enter(self, name: str, *, counted: bool = True) -> Step | Entered:
        self._look_up(self._next_key(name))
        return super().enter(name, counted=counted)

    def find(self, key: Key) -> Step | None:
        return self._look_up(key)

    def _next_key(self, name: str) -> Key:
        known = self._journey.find_name(super()._next_key(name)[0])
        return known, self._occurrences.get(known, 0) + 1

    def _look_up(self, key: Key) -> Step | None:
        step = self._steps.get(key)
        if step is None:
            self._journey.stranger = key[0]
            self.attempt.stop(AttemptLost())
            self.attempt.check()
        self._journey.came_by.append(key)
        return step


def _put_in_the_middle(case: Case, user: Any) -> Job:
    """Store a job that has come as far as the record goes, and claim it to go on."""
    started = services.start(
        user,
        case.message,
        session_key=f"replay-{uuid.uuid4().hex}",
        mode="sync",
        workflow=case.workflow,
        input=case.input,
        options=case.options,
    )
    begun = _claim(started.job)
    Step.objects.bulk_create(
        Step(
            root=begun,
            job=begun,
            name=each.name,
            occurrence=each.occurrence,
            question=each.question,
            finished=each.finished,
            result=each.result if each.answer is None else each.answer,
            text_length=each.text_length,
            attempt=each.run,
            usage=each.usage,
        )
        for each in case.record
    )
    lifecycle.give_back(begun, inline=True)
    return _claim(begun)


def _claim(job: Job) -> Job:
    """Claim this one job, whatever else waits."""
    claimed = lifecycle.claim_inline(job, ME)
    assert claimed is not None, "A job that was just stored is waiting."
    return claimed

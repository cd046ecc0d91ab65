"""The engine while a test runs a job: watched, deterministic, and without threads of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

from chatflow.workflows.exceptions import AttemptLost
from chatflow.workflows.models import Job, Step
from chatflow.workflows.registry import Workflow
from chatflow.workflows.running import event_writer, runner, watchdog
from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.running.record import Entered, Record
from chatflow.workflows.running.step_keys import Key
from chatflow.workflows.testing import time_travel
from chatflow.workflows.testing.overrides import overridden
from chatflow.workflows.testing.worker import Crashes

# Makes the record of a run, as runner does.
MakeRecord = Callable[..., Record]


class Place(NamedTuple):
    """A step of a conversation: its first job's primary key, and the step's own key there."""

    root: int
    key: Key


@dataclass
class Log:
    """What happened on the stage.

    Args:
        crashes: after which steps the worker dies.
        names: what the steps that began are called, in the order of their beginning.
        runs: how often each was run.
        errors: the exception that each job's workflow raised last, by the job's primary key.
    """

    crashes: Crashes = field(default_factory=Crashes)
    names: dict[Place, str] = field(default_factory=dict)
    runs: dict[Place, int] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)

    def note(self, place: Place, name: str) -> None:
        """Note that a step's function is called."""
        self.names.setdefault(place, name)
        self.runs[place] = self.runs.get(place, 0) + 1


class WatchedRecord(Record):
    """Notes which steps are run, and lets the worker die behind some of them."""

    def __init__(
        self, log: Log, job: Job, workflow: Workflow, attempt: Attempt, *more: Any
    ) -> None:
        super().__init__(job, workflow, attempt, *more)
        self._log = log
        time_travel.follow(attempt)

    def enter(self, name: str, *, counted: bool = True) -> Step | Entered:
        entered = super().enter(name, counted=counted)
        # A request to a model is no step of the author's.
        if counted and isinstance(entered, Entered):
            self._log.note(self._place(entered), name)
        return entered

    def start_over(self, entered: Entered) -> None:
        super().start_over(entered)
        place = self._place(entered)
        if place in self._log.names:
            self._log.note(place, self._log.names[place])

    def leave(self, entered: Entered, result: Any, **more: Any) -> None:
        super().leave(entered, result, **more)
        if self._log.crashes.is_due(entered.frame["name"]):
            # As the watchdog stops an attempt whose lease is gone; a transaction is committed.
            self.attempt.stop(AttemptLost())
            self.attempt.check()

    def _place(self, entered: Entered) -> Place:
        return Place(self.job.conversation_id, entered.key)


@contextmanager
def staged(log: Log, make_record: MakeRecord = WatchedRecord) -> Iterator[None]:
    """Have jobs run on the stage meanwhile.

    Args:
        log: is told what happens.
        make_record: makes the record of a run; called with *log* and what Record is called with.
    """

    def failed(job: Job, workflow: Workflow, error: Exception) -> Any:
        log.errors[job.pk] = error
        return fail(job, workflow, error)

    fail = runner._failed
    with ExitStack() as stack:
        for context in (
            # A worker of the test's runs the jobs, whatever the site's queue is.
            overridden(QUEUE_CONNECTION="database"),
            patch.object(runner, "Record", partial(make_record, log)),
            patch.object(runner, "_failed", failed),
            # Its thread can't see what a test hasn't committed.
            patch.object(watchdog, "get_watchdog", NoWatchdog),
            # Every word by itself: what stands in the log doesn't depend on the clock.
            patch.object(event_writer, "PACE", 0.0),
        ):
            stack.enter_context(context)
        yield


class NoWatchdog:
    """Watches nothing. A deadline is noticed at the next step, progress or call of a model."""

    def watch(self, attempt: Attempt) -> None:
        pass

    def unwatch(self, attempt: Attempt) -> None:
        pass

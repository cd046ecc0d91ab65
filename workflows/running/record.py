"""The record of a run: what it did, asked and said, so that none of it happens twice."""

import hashlib
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.db import transaction
from django.db.models import Q

from workflows.exceptions import WorkflowChanged
from workflows.models import Event, Job, Session, Step
from workflows.registry import Workflow
from workflows.running import step_results
from workflows.running.event_writer import Writing
from workflows.running.watchdog import Attempt
from workflows.store import events

Key = tuple[str, int]
NAME_LENGTH = 200
# What the choice of a workflow is recorded under.
CHOOSING = "Choosing the workflow"

# The path of the step that is being run, in this thread or asyncio task.
inside: ContextVar[str] = ContextVar("inside", default="")
# It is an atomic one, or inside of one.
in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)


@dataclass(frozen=True)
class Entered:
    """A step that has begun: its key, what the keys of steps inside it begin with, its frame, the
    progress after it; and how it stood before: the place in the text, the text, the log's head."""

    key: Key
    path: str
    step: dict[str, Any]
    progress: int
    position: int
    shown: str
    head: int
    began: float


class Recording(Writing):
    """A run and its record: recorded steps come again as they were, and what was shown stays."""

    def __init__(self, job: Job, workflow: Workflow, attempt: Attempt) -> None:
        super().__init__(job, attempt)
        self.options: dict[str, Any] = job.options
        self.message: str = job.root.text if job.root else job.text
        self.steps: int | None = workflow.steps
        self._workflow = workflow
        if self._is_async:
            # Its own code can't ask the database for them.
            self.user, self.session  # noqa: B018
        self._steps = _recorded(job)
        # Recorded steps that this run has not come by yet, in the order of their recording.
        # The choice of this workflow, which another one made, isn't come by at all.
        self._ahead: list[Key] = [
            key
            for key, step in self._steps.items()
            if step.finished and not key[0].startswith(CHOOSING)
        ]
        self._occurrences: dict[str, int] = {}
        self._step_count = 0
        # A later turn brings the answer to the question that an earlier one ended with. A question
        # that this very job opened, before its worker was lost, is not answered by it.
        self._answer: str | None = None
        for step in self._steps.values():
            if not step.finished and step.job_id not in _lineage(job):
                self._answer = job.text
        self._shown, self._said = _emitted(job) if job.attempt > 1 else ("", set())
        # What recorded steps streamed, to be streamed again where it was taken back, and in the
        # log of a retry.
        self._known = _emitted(job.retry_of)[0] if job.retry_of else ""
        # Where in the streamed text the workflow is; below 0 in words that earlier turns showed.
        self._position = -job.text_base

    @property
    def user(self) -> Any:
        return self.job.user

    @property
    def session(self) -> Session:
        return self.job.session

    # For the runner.

    @property
    def text_written(self) -> str:
        """The words that this job has streamed."""
        return self._shown

    def close(self) -> None:
        """Check, when the function has returned, that it came by all that was recorded.

        Raises:
            WorkflowChanged: it did not.
        """
        if self._replays:
            raise WorkflowChanged
        self.flush()

    # Inside.

    @property
    def _is_async(self) -> bool:
        # Concurrent steps may be recorded in any order.
        return iscoroutinefunction(self._workflow.function)

    @property
    def _replays(self) -> bool:
        # What an earlier run recorded, or asked, is still to come.
        return bool(self._ahead) or self._answer is not None

    def _next_key(self, name: str) -> Key:
        name, occurrence = self._coming_key(name)
        self._occurrences[name] = occurrence
        return name, occurrence

    def _is_recorded(self, name: str) -> bool:
        """Say whether the next step of that name, should the workflow come by it, has a record."""
        return self._coming_key(name) in self._steps

    def _coming_key(self, name: str) -> Key:
        name = _fitting(inside.get() + events.clean(name))
        return name, self._occurrences.get(name, 0) + 1

    def _pass_by(self, key: Key) -> None:
        """Go past a recorded step; the recorded ones come in the order of their recording."""
        step = self._steps[key]
        # What was recorded inside of it is not come by.
        self._ahead = [ahead for ahead in self._ahead if not ahead[0].startswith(path_of(key))]
        # A step that this run itself recorded comes again when the one around it is tried again.
        if key in self._ahead:
            first = self._steps[self._ahead[0]]
            # One that failed at first is recorded, by a later run, behind those that follow it.
            same_run = (step.job_id, step.attempt) == (first.job_id, first.attempt)
            if not self._is_async and step is not first and same_run:
                raise WorkflowChanged
            self._ahead.remove(key)
        # The words that it streamed stand, and are not streamed again.
        self._position = step.text_length - self.job.text_base
        missing = self._known[len(self._shown) : max(0, self._position)]
        if missing:
            self._shown += missing
            self._say(missing)

    def _enter(self, name: str, *, counted: bool = True) -> Step | Entered:
        """Begin a step: return its record, or announce it."""
        self._attempt.check()
        key = self._next_key(name)
        if counted and not inside.get():
            self._step_count += 1
        recorded = self._steps.get(key)
        if recorded is not None:
            self._pass_by(key)
            return recorded
        path = path_of(key)
        if self._replays:
            inner = bool(self._ahead) and self._ahead[0][0].startswith(path)
            if not (inner or self._is_async or self._failed_before(name)):
                raise WorkflowChanged
        elif len(self._shown) > max(0, self._position):
            # An earlier attempt died inside this step: its words don't stand.
            self._take_back_text(max(0, self._position))
        step: dict[str, Any] = {"name": name}
        message, before, after = f"{name}...", 0, 0
        if counted and not inside.get():
            number, total = self._step_count, max(self.steps or 0, self._step_count)
            step |= {"number": number, "total": total}
            if self.steps is not None:
                message = f"Processing step {number} of {total}..."
                before, after = (100 * done // total for done in (number - 1, number))
        self._append(Event.Type.STEP_STARTED, progress=before, message=message, data={"step": step})
        return Entered(
            key,
            path,
            step,
            after,
            self._position,
            self._shown,
            self.job.last_seq,
            time.monotonic(),
        )

    def _failed_before(self, name: str) -> bool:
        """Say whether the workflow has caught the failure of an unrecorded step, and gone on."""
        conversation = Q(job=self.job.conversation_id) | Q(job__root=self.job.conversation_id)
        began = Event.objects.filter(conversation, type=Event.Type.STEP_STARTED)
        return began.filter(data__step__name=events.clean(name)).exists()

    def _start_over(self, entered: Entered) -> None:
        """Take back what a failed try of a step has streamed; its inner steps come again."""
        for name in [name for name in self._occurrences if name.startswith(entered.path)]:
            del self._occurrences[name]
        if self._position > entered.position:
            self._position = entered.position
            self._take_back_text(max(0, entered.position))

    def _aleave(self, entered: Entered, function: Callable[..., Any], value: Any) -> Any:
        self._attempt.check()
        with self._writing():
            return self._leave(entered, function, value)

    def _leave(self, entered: Entered, function: Callable[..., Any], value: Any) -> Any:
        """Record what a step returned, and give it back as a later run will find it."""
        encoded = events.clean(step_results.dump(entered.key[0], function, value))

        def record() -> None:
            with transaction.atomic():
                self._record(entered, encoded)

        self._persist(record)
        return step_results.load(entered.key[0], function, encoded)

    def _record(self, entered: Entered, encoded: Any, usage: dict[str, Any] | None = None) -> None:
        # The event comes first: it locks the job's row, and it is the fence.
        self._append(
            Event.Type.STEP_FINISHED, progress=entered.progress, data={"step": entered.step}
        )
        self._steps[entered.key] = Step.objects.create(
            root_id=self.job.conversation_id,
            job=self.job,
            name=entered.key[0],
            occurrence=entered.key[1],
            result=encoded,
            text_length=max(0, self._position + self.job.text_base),
            attempt=self.job.attempt,
            duration_ms=int((time.monotonic() - entered.began) * 1000),
            usage=usage,
        )

    def _take_back_text(self, length: int) -> None:
        """Say that only the first *length* characters of the streamed text stand."""
        self._append(
            Event.Type.RESTARTED,
            data={"attempt": self.job.attempt, "text_length": length},
        )
        self._known = self._shown + self._known[len(self._shown) :]
        self._shown = self._shown[:length]


def path_of(key: Key) -> str:
    """Return what the names of the steps inside the step *key* begin with."""
    return f"{key[0]}#{key[1]} > "


def _fitting(name: str) -> str:
    """Return *name*, or something as unique that fits into its column."""
    if len(name) <= NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: NAME_LENGTH - 17]}~{digest}"


def _lineage(job: Job) -> set[int]:
    """Return the primary keys of the job and of those that it retries."""
    keys, older = {job.pk}, job.retry_of
    while older is not None:
        keys.add(older.pk)
        older = older.retry_of
    return keys


def _recorded(job: Job) -> dict[Key, Step]:
    """Return the steps that the job's conversation has recorded so far, in their order."""
    if job.attempt == 1 and job.root_id is None:
        # Nothing ran yet.
        return {}
    steps = Step.objects.filter(root=job.conversation_id).order_by("id")
    return {(step.name, step.occurrence): step for step in steps}


def _emitted(job: Job) -> tuple[str, set[tuple[int, str]]]:
    """Return what a job has emitted so far.

    Returns:
        The words that it streamed and that still stand, and the progress that it reported, as
        pairs of percent and message.
    """
    shown, said = "", set()
    types = (Event.Type.DELTA, Event.Type.RESTARTED, Event.Type.PROGRESS)
    for event in Event.objects.filter(job=job, type__in=types).order_by("seq"):
        if event.type == Event.Type.DELTA:
            shown += event.data["delta"]
        elif event.type == Event.Type.RESTARTED:
            shown = shown[: event.data["text_length"]]
        else:
            percent, message = event.data["said"]
            said.add((percent, message))
    return shown, said

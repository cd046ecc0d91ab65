"""The record of a run: its steps, questions and words, so that none of them happens twice."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from chatflow.workflows import clock
from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import WorkflowChanged
from chatflow.workflows.models import Event, Job, Step
from chatflow.workflows.registry import Workflow
from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.running.earlier_runs import Output, read_lineage, read_output, read_steps
from chatflow.workflows.running.event_writer import Bring, EventWriter
from chatflow.workflows.running.step_keys import Key, full_name, inside, is_choice, path_of
from chatflow.workflows.store import events, lifecycle
from chatflow.workflows.store.outage import despite_conflicts


@dataclass(frozen=True)
class Entered:
    """A step that has begun, and how the run stood before it.

    Args:
        key: the step's own.
        path: the prefix of the keys of steps inside it.
        frame: the step as its events show it.
        progress: the job's, after the step.
        position: the place in the text.
        text: the words that stood.
        head: the last event of the log.
        began: when, by the monotonic clock.
    """

    key: Key
    path: str
    frame: dict[str, Any]
    progress: int
    position: int
    text: str
    head: int
    began: float


class Record:
    """A run as it is recorded: finished steps come again as they were, and shown words stay.

    Attributes:
        job: the row.
        workflow: the function that runs, as registered.
        attempt: the running one.
        events: writes the run's events.
        total_steps: how many steps the run has, where that is known.
        is_async: the workflow is a coroutine function; its steps may be recorded in any order.
        answer: the user's words that the open question waits for; None when they are taken.
        text: the words that this job has shown and that still stand.
        position: where in these words the workflow is; below 0 in those of earlier turns.
        reports: the progress that earlier attempts reported, as pairs of percent and message.
    """

    def __init__(
        self, job: Job, workflow: Workflow, attempt: Attempt, bring: Bring | None = None
    ) -> None:
        self.job = job
        self.workflow = workflow
        self.attempt = attempt
        self.events = EventWriter(job, attempt, bring)
        self.total_steps = workflow.steps
        self.is_async = workflow.is_async
        self._steps = read_steps(job)
        # Recorded steps that this run has not come by yet, in the order of their recording.
        # It doesn't come by the choice of this workflow, which another one made.
        self._ahead = [
            key for key, step in self._steps.items() if step.finished and not is_choice(key[0])
        ]
        self._occurrences: dict[str, int] = {}
        self._step_count = 0
        self.answer = job.text if self._is_answered() else None
        output = read_output(job) if job.attempt > 1 else Output()
        self.text, self.reports = output.text, output.reports
        # The words of recorded steps, to be shown again where they were taken back, and in the log
        # of a retry.
        self._known = read_output(job.retry_of).text if job.retry_of else ""
        self.position = -job.text_base

    def _is_answered(self) -> bool:
        """Return whether this job brings the answer to the question that an earlier turn asked.

        A question that the job itself asked, before its worker was lost, isn't answered by it.
        """
        questions = [step for step in self._steps.values() if not step.finished]
        if not questions:
            return False
        lineage = read_lineage(self.job)
        return any(step.job_id not in lineage for step in questions)

    @property
    def origin(self) -> Job:
        """The job that began the conversation with the workflow, whose message started it."""
        return self.job.root or self.job

    @property
    def replays(self) -> bool:
        """Whether the run has yet to come by what an earlier one recorded or asked."""
        return bool(self._ahead) or self.answer is not None

    # Steps.

    def take_key(self, name: str) -> Key:
        """Return the key of the next step of that name, and count it."""
        key = self._next_key(name)
        self._occurrences[key[0]] = key[1]
        return key

    def is_recorded(self, name: str) -> bool:
        """Return whether there is a record of the next step of that name, should it be taken."""
        return self._next_key(name) in self._steps

    def has_steps(self, path: str) -> bool:
        """Return whether there is a record of a step whose full name begins with *path*."""
        return any(name.startswith(path) for name, _ in self._steps)

    def find(self, key: Key) -> Step | None:
        """Return the record of a step or question; that of an open question isn't finished."""
        return self._steps.get(key)

    def list_steps(self) -> list[Step]:
        """Return the finished steps of this job; not those of its earlier turns."""
        return [
            step for step in self._steps.values() if step.finished and step.job_id == self.job.pk
        ]

    def enter(self, name: str, *, counted: bool = True) -> Step | Entered:
        """Begin a step: return its record if there is one, else announce it.

        Args:
            name: the step's.
            counted: it is one of the steps that the user sees numbered.

        Raises:
            WorkflowChanged: another step was recorded here.
        """
        self.attempt.check()
        key = self.take_key(name)
        counted = counted and not inside.get()
        if counted:
            self._step_count += 1
        recorded = self._steps.get(key)
        if recorded is not None:
            self.pass_by(key)
            return recorded
        if self.replays:
            self._check_order(name, path_of(key))
        elif len(self.text) > max(0, self.position):
            # An earlier attempt died inside this step: its words don't stand.
            self.take_back(max(0, self.position))
        return self._announce(key, name, counted)

    def leave(
        self,
        entered: Entered,
        result: Any,
        *,
        usage: dict[str, Any] | None = None,
        also: Callable[[], None] | None = None,
    ) -> None:
        """Record a step's result.

        Args:
            entered: the step, as enter() returned it.
            result: JSON.
            usage: of a request to a model.
            also: writes more, once the step is listed, in the same transaction.
        """

        def store() -> None:
            with atomic():
                self._store(entered, result, usage)
                if also is not None:
                    also()

        try:
            with self.events.writing():
                self.events.persist(store)
        except BaseException:
            self._steps.pop(entered.key, None)
            raise

    def pass_by(self, key: Key) -> None:
        """Go past a recorded step; the recorded ones come in the order of their recording.

        Raises:
            WorkflowChanged: it is another one's turn.
        """
        step = self._steps[key]
        # The steps inside it are skipped with it.
        self._ahead = [ahead for ahead in self._ahead if not ahead[0].startswith(path_of(key))]
        # Else this very run has recorded it, and the step around it is being tried again.
        if key in self._ahead:
            first = self._steps[self._ahead[0]]
            # Order holds among the steps of one attempt only: a step that failed at first is
            # recorded by a later attempt, behind those that follow it.
            same_run = (step.job_id, step.attempt) == (first.job_id, first.attempt)
            if not self.is_async and step is not first and same_run:
                raise WorkflowChanged
            self._ahead.remove(key)
        self._skip_words(step.text_length - self.job.text_base)

    def start_over(self, entered: Entered) -> None:
        """Take back the words of a step's failed try; its inner steps come again."""
        for name in [name for name in self._occurrences if name.startswith(entered.path)]:
            del self._occurrences[name]
        if self.position > entered.position:
            self.position = entered.position
            self.take_back(max(0, entered.position))

    def roll_back(self, entered: Entered) -> None:
        """Forget an atomic step's events and its inner steps: the database has rolled them back."""
        self.events.forget(entered.head)
        self.position, self.text = entered.position, entered.text
        # Its own record too: the commit may have failed after the function had returned.
        inner = [key for key in self._steps if key[0].startswith(entered.path)]
        for key in (entered.key, *inner):
            self._steps.pop(key, None)

    def close(self) -> None:
        """Check, when the function has returned, that it came by all that was recorded.

        Raises:
            WorkflowChanged: it did not.
        """
        if self.replays:
            raise WorkflowChanged
        self.events.flush()

    # Questions.

    def suspend(self, key: Key, also: Callable[[Step], None]) -> None:
        """Record that a question is open; the turn ends with it.

        Args:
            key: the question's.
            also: writes more about it, in the same transaction.
        """

        def store() -> None:
            with atomic():
                lifecycle.hold(self.job)
                step, _ = Step.objects.get_or_create(
                    root_id=self.job.conversation_id,
                    name=key[0],
                    occurrence=key[1],
                    defaults={
                        "job": self.job,
                        "question": True,
                        "finished": False,
                        "text_length": self._text_length(),
                        "attempt": self.job.attempt,
                    },
                )
                also(step)

        with self.events.writing():
            self.events.wait_out(store)

    def resume(self, step: Step, result: Any, also: Callable[[Step], None]) -> None:
        """Record the answer to an open question, and go on.

        Args:
            step: the question, as find() returned it.
            result: the answer, as JSON.
            also: writes more about it, in the same transaction.
        """
        self.answer = None

        def store() -> None:
            with atomic():
                lifecycle.hold(self.job)
                also(step)
                step.result, step.finished = events.clean(result), True
                step.job, step.attempt = self.job, self.job.attempt
                step.save()

        with self.events.writing():
            # Not waited for in an outage: an approval that was decided can't be decided again.
            despite_conflicts(store)

    # Words.

    def say(self, words: str) -> None:
        """Show the next words of the response, unless the user has seen them already.

        Args:
            words: as the database can store them.
        """
        start, self.position = self.position, self.position + len(words)
        if self.position <= 0:
            # An earlier turn has shown them.
            return
        if start < 0:
            words, start = words[-start:], 0
        known = self.text[start : start + len(words)]
        if words.startswith(known):
            words = words[len(known) :]
        else:
            self.take_back(start)
        self._show(words)

    @property
    def says_at_once(self) -> bool:
        """Whether say() waits for nothing now: others write, and nothing is to be taken back."""
        return self.events.is_shared and self.position >= len(self.text)

    def take_back(self, length: int) -> None:
        """Let only the first *length* characters of the shown words stand."""
        self.events.append(
            Event.Type.RESTARTED, data={"attempt": self.job.attempt, "text_length": length}
        )
        self._known = self.text + self._known[len(self.text) :]
        self.text = self.text[:length]

    # Inside.

    def _next_key(self, name: str) -> Key:
        name = full_name(name)
        return name, self._occurrences.get(name, 0) + 1

    def _check_order(self, name: str, path: str) -> None:
        """Refuse a step without a record where an earlier run recorded or asked something else."""
        begun = bool(self._ahead) and self._ahead[0][0].startswith(path)
        if not (begun or self.is_async or self._began_before(name)):
            raise WorkflowChanged

    def _began_before(self, name: str) -> bool:
        """Return whether a step of that name began in an earlier run, by its name only.

        One without a record has failed there, and the workflow has caught that and gone on.
        """
        conversation = Q(job=self.job.conversation_id) | Q(job__root=self.job.conversation_id)
        began = Event.objects.filter(conversation, type=Event.Type.STEP_STARTED)
        return self.events.read(began.filter(data__step__name=events.clean(name)).exists)

    def _announce(self, key: Key, name: str, counted: bool) -> Entered:
        """Append the event that a step begins."""
        frame: dict[str, Any] = {"name": name}
        message, before, after = f"{name}...", 0, 0
        if counted:
            number, total = self._step_count, max(self.total_steps or 0, self._step_count)
            frame |= {"number": number, "total": total}
            if self.total_steps is not None:
                message = f"Processing step {number} of {total}..."
                before, after = (100 * done // total for done in (number - 1, number))
        self.events.append(
            Event.Type.STEP_STARTED, progress=before, message=message, data={"step": frame}
        )
        return Entered(
            key=key,
            path=path_of(key),
            frame=frame,
            progress=after,
            position=self.position,
            text=self.text,
            head=self.job.last_seq,
            began=time.monotonic(),
        )

    def _store(self, entered: Entered, result: Any, usage: dict[str, Any] | None) -> None:
        # The event comes first: it locks the job's row, and it is the fence.
        duration = int((time.monotonic() - entered.began) * 1000)
        self.events.append(
            Event.Type.STEP_FINISHED,
            progress=entered.progress,
            data={"step": entered.frame | {"duration_ms": duration}},
        )
        self._steps[entered.key] = Step.objects.create(
            root_id=self.job.conversation_id,
            job=self.job,
            name=entered.key[0],
            occurrence=entered.key[1],
            result=result,
            text_length=self._text_length(),
            attempt=self.job.attempt,
            duration_ms=duration,
            usage=usage,
            created_at=clock.now(),
        )

    def _text_length(self) -> int:
        """Return how many characters the workflow has shown in all its turns."""
        return max(0, self.position + self.job.text_base)

    def _skip_words(self, position: int) -> None:
        """Go on at *position*: the words before it stand; those that don't are shown again."""
        self.position = position
        self._show(self._known[len(self.text) : max(0, position)])

    def _show(self, words: str) -> None:
        if words:
            self.text += words
            self.events.show(words)

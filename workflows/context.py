"""What a workflow is handed: the verbs with which it works, asks and answers."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import Q

from workflows import answers, events, lifecycle, results
from workflows.ai import get_model
from workflows.exceptions import (
    AttemptLost,
    BudgetExceeded,
    Fenced,
    StepResultError,
    TurnEnded,
    WorkflowChanged,
)
from workflows.keeper import Attempt
from workflows.models import Event, Job, State, Step
from workflows.outage import database_answers, is_outage
from workflows.registry import Workflow

T = TypeVar("T")
Key = tuple[str, int]
NAME_LENGTH = 200
AI_STEP = "Asking the model"
# Seconds between two tries to reach a database that is away.
RECONNECT = 0.2


# The path of the step that is being run, in this thread or asyncio task.
_inside: ContextVar[str] = ContextVar("_inside", default="")


@dataclass(frozen=True)
class Reply:
    """What a workflow answers with. See Context.reply()."""

    text: str
    actions: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Entered:
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


class Context:
    """The workflow's side of its job.

    Everything that a workflow does with it is recorded: when the function runs again, after a crash
    or with the user's next message, finished steps and given answers return what they returned,
    and what the user has already been shown isn't shown again.

    Attributes:
        message: the text that started the workflow, the same in every turn.
        user: whose job it is.
        session: the conversation.
        options: the flags of send: actions, memory, intelligent_rag.
        job: the row itself.
        steps: how many steps the run has, as registered; a workflow that finds out may set it.
    """

    def __init__(self, job: Job, workflow: Workflow, attempt: Attempt) -> None:
        self.job = job
        self.user = job.user
        self.session = job.session
        self.options: dict[str, Any] = job.options
        self.message: str = job.root.text if job.root else job.text
        self.steps: int | None = workflow.steps
        self._workflow = workflow
        self._attempt = attempt
        self._steps: dict[Key, Step] = {
            (step.name, step.occurrence): step
            for step in Step.objects.filter(root=job.conversation_id).order_by("id")
        }
        # Recorded steps that this run has not come by yet, in the order of their recording.
        self._ahead: list[Key] = [key for key, step in self._steps.items() if step.finished]
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

    # Work.

    def step(
        self,
        name: str,
        function: Callable[..., T],
        *args: Any,
        atomic: bool = False,
        retries: int = 0,
        **kwargs: Any,
    ) -> T:
        """Call *function* once, and remember for ever what it returned.

        Args:
            name: what the step does, for people; with its occurrence it is the record's key.
            function: what to do; its result must be JSON, or of the dataclass or pydantic model
                that its return annotation names.
            args: the function's own arguments; kwargs likewise.
            atomic: commit the function's database writes and the record in one transaction, so
                that they happen exactly once. Keep it short; events from inside it appear at its
                commit.
            retries: how often to call the function again when it raises.

        Returns:
            What the function returned, in this run or in an earlier one.

        Raises:
            StepResultError: the result can't be recorded.
            WorkflowChanged: the recorded steps are not those of the present code.
        """
        entered = self._enter(name)
        if isinstance(entered, Step):
            recorded: T = results.load(name, function, entered.result)
            return recorded
        for retry in range(retries + 1):
            inside = _inside.set(entered.path)
            try:
                # The shield outlasts the transaction, so that its commit isn't torn.
                with ExitStack() as shield:
                    with transaction.atomic() if atomic else nullcontext():
                        value = function(*args, **kwargs)
                        self._attempt.check()
                        shield.enter_context(self._writing())
                        result: T = self._leave(entered, function, value)
                return result
            except Exception as error:
                if atomic:
                    # Its events were rolled back with it, and the steps inside it.
                    self.job.last_seq = entered.head
                    self._position, self._shown = entered.position, entered.shown
                    for key in [key for key in self._steps if key[0].startswith(entered.path)]:
                        del self._steps[key]
                if retry == retries or isinstance(error, StepResultError) or is_outage(error):
                    raise
                self._start_over(entered)
            finally:
                _inside.reset(inside)
        raise AssertionError("A step neither returned nor raised.")

    async def astep(
        self,
        name: str,
        function: Callable[..., Any],
        *args: Any,
        atomic: bool = False,
        retries: int = 0,
        **kwargs: Any,
    ) -> Any:
        """See step(). A coroutine function is awaited; an atomic step takes a plain one."""
        if not iscoroutinefunction(function):
            return await sync_to_async(self.step)(
                name, function, *args, atomic=atomic, retries=retries, **kwargs
            )
        if atomic:
            raise TypeError("An atomic step must be a plain function: transactions are not async.")
        entered = await sync_to_async(self._enter)(name)
        if isinstance(entered, Step):
            return results.load(name, function, entered.result)
        for retry in range(retries + 1):
            inside = _inside.set(entered.path)
            try:
                value = await function(*args, **kwargs)
                break
            except Exception:
                if retry == retries:
                    raise
                await sync_to_async(self._start_over)(entered)
            finally:
                _inside.reset(inside)
        return await sync_to_async(self._aleave)(entered, function, value)

    def ai(self, prompt: str) -> str:
        """Ask the model that ``AI_MODEL`` names.

        A call is a step: it is recorded when it returns, and never made twice. It counts against
        the workflow's ``max_ai_calls``.

        Args:
            prompt: what to ask.

        Returns:
            The model's answer.

        Raises:
            BudgetExceeded: the job has made all the calls that it may.
        """
        entered = self._enter(AI_STEP, counted=False)
        if isinstance(entered, Step):
            return str(entered.result)
        made = [s for s in self._steps.values() if s.job_id == self.job.pk and _is_ai(s)]
        if len(made) >= self._workflow.max_ai_calls:
            raise BudgetExceeded
        model = get_model()
        answer = model.answer(prompt)
        self._attempt.check()
        with self._writing():
            return str(self._leave(entered, model.answer, answer))

    async def aai(self, prompt: str) -> str:
        """See ai()."""
        return await sync_to_async(self.ai)(prompt)

    def progress(self, percent: int, message: str = "") -> None:
        """Say how far the workflow is.

        Args:
            percent: 0 to 100; the job's progress never goes back.
            message: what it is doing now.
        """
        self._attempt.check()
        percent = min(99, max(0, int(percent)))
        message = events.clean(message)[: events.MESSAGE_LENGTH]
        if self._replays or (percent, message) in self._said:
            # It was said in an earlier run.
            return
        # The row has what the user sees; what was said is needed to know it again.
        data = {"said": [percent, message]}
        self._append(Event.Type.PROGRESS, progress=percent, message=message, data=data)

    async def aprogress(self, percent: int, message: str = "") -> None:
        """See progress()."""
        await sync_to_async(self.progress)(percent, message)

    def write(self, text: str) -> None:
        """Show *text* to the user at once, as the next words of the response."""
        self._attempt.check()
        text = events.clean(text)
        start, self._position = self._position, self._position + len(text)
        if self._position <= 0:
            # An earlier turn has shown it.
            return
        if start < 0:
            text, start = text[-start:], 0
        known = self._shown[start : start + len(text)]
        if text.startswith(known):
            text = text[len(known) :]
        else:
            self._take_back_text(start)
        if text:
            self._append(Event.Type.DELTA, data={"delta": text})
            self._shown += text

    async def awrite(self, text: str) -> None:
        """See write()."""
        await sync_to_async(self.write)(text)

    # Questions. Each ends the turn; the user's next message is the answer.

    def ask(self, prompt: str, *, optional: bool = False) -> str | None:
        """Ask the user for a text.

        Args:
            prompt: the question.
            optional: the user may decline, with "skip" for example.

        Returns:
            The user's words; None if they declined.
        """

        def read(text: str) -> tuple[str | None]:
            return (None if optional and answers.is_skip(text) else text,)

        answer: str | None = self._question(prompt, {"kind": "text", "optional": optional}, read)
        return answer

    def choose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """Ask the user to choose.

        Args:
            prompt: the question.
            choices: at least one value, ``(value, label)`` pair or ``{"value", "label"}`` mapping;
                values are JSON.

        Returns:
            The value of the choice. The user may give its number, its value or its label.
        """
        options = answers.as_choices(choices)

        def read(text: str) -> tuple[Any] | None:
            choice = answers.chosen(text, options)
            return None if choice is None else (choice["value"],)

        awaiting = {"kind": "choice", "choices": options, "optional": False}
        return self._question(prompt, awaiting, read, "Please choose one of the answers.")

    def confirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """Ask the user for a yes or a no.

        Args:
            prompt: the question.
            or_text: return an answer that is neither, instead of asking again.

        Returns:
            True, False, or with *or_text* the user's words.
        """

        def read(text: str) -> tuple[bool | str] | None:
            answer = answers.yes_or_no(text)
            if answer is None:
                return (text,) if or_text else None
            return (answer,)

        awaiting = {"kind": "confirm", "optional": False}
        answer: bool | str = self._question(prompt, awaiting, read, "Please answer yes or no.")
        return answer

    async def aask(self, prompt: str, *, optional: bool = False) -> str | None:
        """See ask()."""
        return await sync_to_async(self.ask)(prompt, optional=optional)

    async def achoose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """See choose()."""
        return await sync_to_async(self.choose)(prompt, choices)

    async def aconfirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """See confirm()."""
        return await sync_to_async(self.confirm)(prompt, or_text=or_text)

    # The answer.

    def reply(
        self,
        text: str,
        actions: Sequence[dict[str, Any]] = (),
        sources: Sequence[dict[str, Any]] = (),
    ) -> Reply:
        """Make the workflow's answer, to be returned by it.

        Args:
            text: the response.
            actions: next moves that the user is offered, such as
                ``{"type": "link", "label": "Open", "url": "/invoices/1/"}`` or
                ``{"type": "quick_reply", "label": "Another", "message": "create invoice"}``.
            sources: what the answer rests on, such as ``{"title": …, "url": …}``.
        """
        return Reply(text, list(actions), list(sources))

    async def areply(
        self,
        text: str,
        actions: Sequence[dict[str, Any]] = (),
        sources: Sequence[dict[str, Any]] = (),
    ) -> Reply:
        """See reply()."""
        return self.reply(text, actions, sources)

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
        name = _fitting(_inside.get() + events.clean(name))
        occurrence = self._occurrences[name] = self._occurrences.get(name, 0) + 1
        return name, occurrence

    def _pass_by(self, key: Key) -> None:
        """Go past a recorded step; the recorded ones come in the order of their recording."""
        step = self._steps[key]
        # What was recorded inside of it is not come by.
        self._ahead = [ahead for ahead in self._ahead if not ahead[0].startswith(_path(key))]
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
            self._append(Event.Type.DELTA, data={"delta": missing})
            self._shown += missing

    def _append(
        self,
        type: Event.Type,
        *,
        progress: int = 0,
        message: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        progress = min(99, max(0, progress))

        def append() -> None:
            self.job.last_seq = events.append(
                self.job.pk, self.job.attempt, type, progress=progress, message=message, data=data
            )

        with self._writing():
            self._persist(append)
        self.job.progress = max(self.job.progress, progress)
        self.job.progress_message = message or self.job.progress_message

    def _persist(self, write: Callable[[], None]) -> None:
        """Write; and if the database goes away meanwhile, wait for it and write then.

        Every write of a context appends an event, and nobody else appends to its job: so the head
        of the log tells whether a write was committed whose confirmation got lost.
        """
        head = self.job.last_seq
        while True:
            try:
                return write()
            except DatabaseError as error:
                if connection.in_atomic_block or not is_outage(error):
                    raise
            self._wait_for_database()
            mine = Job.objects.filter(pk=self.job.pk, attempt=self.job.attempt)
            job = mine.filter(state=State.PROCESSING).first()
            if job is None:
                raise AttemptLost
            if job.last_seq > head:
                self.job.last_seq = job.last_seq
                return None

    def _wait_for_database(self) -> None:
        while not database_answers():
            if self._attempt.interrupt is not None:
                raise self._attempt.interrupt
            time.sleep(RECONNECT)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write without being interrupted; a stale attempt stops here."""
        with self._attempt.shielded():
            try:
                yield
            except Fenced:
                raise AttemptLost from None

    def _enter(self, name: str, *, counted: bool = True) -> Step | _Entered:
        """Begin a step: return its record, or announce it."""
        self._attempt.check()
        key = self._next_key(name)
        if counted and not _inside.get():
            self._step_count += 1
        recorded = self._steps.get(key)
        if recorded is not None:
            self._pass_by(key)
            return recorded
        path = _path(key)
        if self._replays:
            inner = bool(self._ahead) and self._ahead[0][0].startswith(path)
            if not (inner or self._is_async or self._failed_before(name)):
                raise WorkflowChanged
        elif len(self._shown) > max(0, self._position):
            # An earlier attempt died inside this step: its words don't stand.
            self._take_back_text(max(0, self._position))
        step: dict[str, Any] = {"name": name}
        message, before, after = f"{name}...", 0, 0
        if counted and not _inside.get():
            number, total = self._step_count, max(self.steps or 0, self._step_count)
            step |= {"number": number, "total": total}
            if self.steps is not None:
                message = f"Processing step {number} of {total}..."
                before, after = (100 * done // total for done in (number - 1, number))
        self._append(Event.Type.STEP_STARTED, progress=before, message=message, data={"step": step})
        return _Entered(
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

    def _start_over(self, entered: _Entered) -> None:
        """Take back what a failed try of a step has streamed; its inner steps come again."""
        for name in [name for name in self._occurrences if name.startswith(entered.path)]:
            del self._occurrences[name]
        if self._position > entered.position:
            self._position = entered.position
            self._take_back_text(max(0, entered.position))

    def _aleave(self, entered: _Entered, function: Callable[..., Any], value: Any) -> Any:
        self._attempt.check()
        with self._writing():
            return self._leave(entered, function, value)

    def _leave(self, entered: _Entered, function: Callable[..., Any], value: Any) -> Any:
        """Record what a step returned, and give it back as a later run will find it."""
        encoded = events.clean(results.dump(entered.key[0], function, value))

        def record() -> None:
            with transaction.atomic():
                self._record(entered, encoded)

        self._persist(record)
        return results.load(entered.key[0], function, encoded)

    def _record(self, entered: _Entered, encoded: Any) -> None:
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
        )

    def _take_back_text(self, length: int) -> None:
        """Say that only the first *length* characters of the streamed text stand."""
        self._append(
            Event.Type.RESTARTED,
            data={"attempt": self.job.attempt, "text_length": length},
        )
        self._known = self._shown + self._known[len(self._shown) :]
        self._shown = self._shown[:length]

    def _question(
        self,
        prompt: str,
        awaiting: dict[str, Any],
        read: Callable[[str], tuple[Any] | None],
        hint: str = "",
    ) -> Any:
        self._attempt.check()
        key = self._next_key(f"ask: {prompt}")
        recorded = self._steps.get(key)
        if recorded is not None and recorded.finished:
            self._pass_by(key)
            return recorded.result
        awaiting = {"kind": awaiting["kind"], "prompt": prompt} | awaiting
        if recorded is None:
            if self._replays:
                # The answer belongs to a question that the present code doesn't ask here.
                raise WorkflowChanged
            self._open_question(key, prompt, awaiting)
        if self._answer is None:
            raise TurnEnded(prompt, awaiting)
        value = read(self._answer)
        if value is None:
            raise TurnEnded(f"{hint} {prompt}".strip(), awaiting)
        self._answer = None
        self._close_question(key, value[0])
        return value[0]

    def _open_question(self, key: Key, prompt: str, awaiting: dict[str, Any]) -> NoReturn:
        with self._writing(), transaction.atomic():
            lifecycle.hold(self.job)
            Step.objects.create(
                root_id=self.job.conversation_id,
                job=self.job,
                name=key[0],
                occurrence=key[1],
                question=True,
                finished=False,
                text_length=max(0, self._position + self.job.text_base),
                attempt=self.job.attempt,
            )
        raise TurnEnded(prompt, awaiting)

    def _close_question(self, key: Key, value: Any) -> None:
        with self._writing(), transaction.atomic():
            lifecycle.hold(self.job)
            step = self._steps[key]
            step.result, step.finished = events.clean(value), True
            step.job, step.attempt = self.job, self.job.attempt
            step.save()


def _path(key: Key) -> str:
    """Return what the names of the steps inside the step *key* begin with."""
    return f"{key[0]}#{key[1]} > "


def _fitting(name: str) -> str:
    """Return *name*, or something as unique that fits into its column."""
    if len(name) <= NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: NAME_LENGTH - 17]}~{digest}"


def _is_ai(step: Step) -> bool:
    return step.name == AI_STEP or step.name.endswith(f"> {AI_STEP}")


def _lineage(job: Job) -> set[int]:
    """Return the primary keys of the job and of those that it retries."""
    keys, older = {job.pk}, job.retry_of
    while older is not None:
        keys.add(older.pk)
        older = older.retry_of
    return keys


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

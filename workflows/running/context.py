"""What a workflow is handed: the verbs with which it works, asks and answers."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import transaction

from workflows.dialogue.actions import Offered, offer
from workflows.exceptions import StepResultError, TurnEnded
from workflows.models import Event, Step
from workflows.running import step_results
from workflows.running.approvals import Approvals
from workflows.running.history import Remembering
from workflows.running.model_routing import Choosing
from workflows.running.record import in_transaction, inside
from workflows.running.retrieval import Searching
from workflows.store import events
from workflows.store.outage import is_outage

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What a workflow answers with. See Context.reply()."""

    text: str
    actions: list[Offered] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)


class Context(Approvals, Choosing, Remembering, Searching):
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
            recorded: T = step_results.load(name, function, entered.result)
            return recorded
        for retry in range(retries + 1):
            path = inside.set(entered.path)
            within = in_transaction.set(atomic or in_transaction.get())
            try:
                # The shield outlasts the transaction, so that its commit isn't torn.
                with ExitStack() as shield:
                    with transaction.atomic() if atomic else nullcontext():
                        value = function(*args, **kwargs)
                        self._attempt.check()
                        shield.enter_context(self._writing())
                        result: T = self._leave(entered, function, value)
                return result
            except TurnEnded:
                if atomic:
                    # Its record was rolled back: it would be asked again for ever.
                    raise TypeError("An atomic step can't ask the user anything.") from None
                raise
            except Exception as error:
                if atomic:
                    # Its events were rolled back with it, and the steps inside it.
                    self._unsay()
                    self.job.last_seq = entered.head
                    self._position, self._shown = entered.position, entered.shown
                    for key in [key for key in self._steps if key[0].startswith(entered.path)]:
                        del self._steps[key]
                if retry == retries or isinstance(error, StepResultError) or is_outage(error):
                    raise
                self._start_over(entered)
            finally:
                in_transaction.reset(within)
                inside.reset(path)
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
            return step_results.load(name, function, entered.result)
        for retry in range(retries + 1):
            path = inside.set(entered.path)
            try:
                value = await function(*args, **kwargs)
                break
            except Exception:
                if retry == retries:
                    raise
                await sync_to_async(self._start_over)(entered)
            finally:
                inside.reset(path)
        return await sync_to_async(self._aleave)(entered, function, value)

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
        """Show *text* to the user, as the next words of the response.

        A model's words may come one by one: those that follow each other within 50 ms are shown
        together.
        """
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
            self._shown += text
            self._say(text)

    async def awrite(self, text: str) -> None:
        """See write()."""
        await sync_to_async(self.write)(text)

    # The answer.

    @property
    def input(self) -> dict[str, Any]:
        """What the action that started the workflow is to work on; empty for a message."""
        return (self.job.root or self.job).input or {}

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

        Raises:
            InvalidAction: which action is wrong, and why.
        """
        return Reply(text, offer(actions), list(sources))

    async def areply(
        self,
        text: str,
        actions: Sequence[dict[str, Any]] = (),
        sources: Sequence[dict[str, Any]] = (),
    ) -> Reply:
        """See reply()."""
        return self.reply(text, actions, sources)

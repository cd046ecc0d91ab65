"""The verb that asks a model. Each request to it, and each call of a tool, is a recorded step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any, TypedDict, TypeVar, Unpack, overload

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import transaction
from pydantic_core import to_jsonable_python

from workflows.ai import budget
from workflows.ai.asides import Aside, Pausing, Threaded
from workflows.ai.messages import ChatMessage, as_messages
from workflows.ai.names import OFFLINE
from workflows.ai.tools import needs_approval
from workflows.ai.usage import Usage, total
from workflows.exceptions import BudgetExceeded, ToolError
from workflows.models import Job, Step
from workflows.running.record import CHOOSING, Entered, Recording, in_transaction, inside, path_of
from workflows.store import events

AI_STEP = "Asking the model"
# Stands between the words of two answers of one call.
APART = "\n\n"

T = TypeVar("T")


class Options(TypedDict, total=False):
    """What a call of ``ctx.ai`` may say beside the prompt and the output's type."""

    tools: Sequence[Callable[..., Any]]
    instructions: str | None
    model: str
    offline: Callable[[str], Any] | None
    show: bool


class Thinking(Recording):
    """The verb that asks a model."""

    # Verbs of the context that it belongs to.
    step: Callable[..., Any]
    write: Callable[[str], None]
    approve: Callable[..., Any]

    # Requests to a model that this run has begun, recorded ones aside.
    _asked = 0

    @overload
    def ai(self, prompt: str | Sequence[ChatMessage], **options: Unpack[Options]) -> str: ...

    @overload
    def ai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: type[T],
        **options: Unpack[Options],
    ) -> T: ...

    def ai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: Any = str,
        **options: Unpack[Options],
    ) -> Any:
        """Ask a model.

        Each request to the model is a step, and so is each call of a tool: recorded when it
        returns, and never made twice. Each request counts against the workflow's ``max_ai_calls``.

        Args:
            prompt: what to ask; or a conversation, ``{"role", "content"}`` mappings of which the
                last is the user's.
            output_type: what the answer must be: a pydantic model, a dataclass or another type
                that pydantic knows; by default text.
            options: any of these:
                tools: functions that the model may call before it answers; see workflows.tool.
                instructions: what the model is told about its work.
                model: the name of the model to ask first, such as ``anthropic:claude-haiku-4-5``;
                by default what the request chose, or else ``AI_MODEL``.
                offline: what the offline model goes by: a function of the user's latest words that
                returns the answer. Without it, or where it returns None, that model introduces
                itself, or, where more than text is wanted, says that it can't.
                show: stream the words to the user as they come.

        Returns:
            The answer.

        Raises:
            BudgetExceeded: the job, or its user today, has made all the requests that they may.
            AIUnavailable: no model could be reached, or none gave a usable answer.
            AIRejected: the model refused the request.
            AIRateLimited: the model is too busy.
            AIOffline: only the offline model is there, and it has no rule for this.
        """
        with self._scope() as path:
            pausing = Pausing(self._attempt.shielded)
            return pausing.run(self._talk(path, pausing.aside, prompt, output_type, options))

    @overload
    async def aai(self, prompt: str | Sequence[ChatMessage], **options: Unpack[Options]) -> str: ...

    @overload
    async def aai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: type[T],
        **options: Unpack[Options],
    ) -> T: ...

    async def aai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: Any = str,
        **options: Unpack[Options],
    ) -> Any:
        """See ai()."""
        with self._scope() as path:
            threaded = Threaded()
            return await threaded.run(
                self._talk(path, threaded.aside, prompt, output_type, options)
            )

    @contextmanager
    def _scope(self) -> Iterator[str]:
        """Number the requests of one call by themselves: calls may go on side by side."""
        self._attempt.check()
        if in_transaction.get():
            # Rolled back with it, the answer would be paid for again.
            raise TypeError("An atomic step can't ask a model. Ask before it, and pass the answer.")
        path = path_of(self._next_key(AI_STEP))
        token = inside.set(path)
        try:
            yield path
        finally:
            inside.reset(token)

    async def _talk(
        self,
        path: str,
        aside: Aside,
        prompt: str | Sequence[ChatMessage],
        output_type: Any,
        options: Options,
    ) -> Any:
        requests = Requests(self)
        with self._attempt.shielded():
            # It brings pydantic-ai and a provider's SDK along, which take a second to import; an
            # interruption in the middle would leave this process with half of a module.
            from workflows.ai.calls import Call, choose_models, make_call

            models = choose_models(
                options.get("model") or self.options.get("model", ""),
                requests.ruled(options.get("offline")),
                aside,
            )
        call = Call(
            messages=as_messages(prompt),
            output_type=output_type,
            tools=options.get("tools", ()),
            instructions=options.get("instructions"),
            models=models,
            show=options.get("show", False),
        )

        async def use(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
            return await aside(partial(self._use, function, arguments))

        return await make_call(call, requests, aside, use)

    def _use(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a tool that the model asks for, where its user agrees."""
        name = function.__name__
        if needs_approval(function):
            details = {"tool": name, "arguments": to_jsonable_python(arguments)}
            approval = self.approve(
                f"The model wants to use {name}. Do you agree?", details=details
            )
            if not approval.approved:
                reason = f" They say: {approval.reason}" if approval.reason else ""
                return f"The user does not agree to this call.{reason}"
        outcome = self.step(f"Using {name}", partial(_outcome, function, arguments))
        if "refused" in outcome:
            raise ToolError(outcome["refused"])
        return outcome["result"]


def _outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool; what it returned or refused is JSON, as the model gets to see it."""
    if iscoroutinefunction(function):
        function = async_to_sync(function)
    try:
        return {"result": to_jsonable_python(function(**arguments))}
    except ToolError as error:
        return {"refused": str(error)}


def _is_choice(name: str) -> bool:
    """Say whether the step *name* is part of the choice of a workflow, which no workflow counts."""
    return name.startswith(CHOOSING)


class Requests:
    """The requests of one call, as RecordedModel's journal."""

    def __init__(self, context: Thinking) -> None:
        self._context = context
        self._entered: Entered | None = None
        self._reservation: budget.Reservation | None = None
        # An earlier answer, which called tools, has shown words; the present one has.
        self._spoken = self._speaking = False

    def ruled(self, rule: Callable[[str], Any] | None) -> Callable[[str], Any] | None:
        """Return *rule* as a part of the request: steps that it takes are inside of this one."""
        if rule is None:
            return None

        def answer(words: str) -> Any:
            assert self._entered is not None, "A rule without a request."
            token = inside.set(self._entered.path)
            try:
                return rule(words)
            finally:
                inside.reset(token)

        return answer

    def begin(self) -> dict[str, Any] | None:
        context, position = self._context, self._context._position
        self._spoken, self._speaking = self._spoken or self._speaking, False
        entered = context._enter(AI_STEP, counted=False)
        if isinstance(entered, Step):
            self._speaking = context._position > position
            return dict(entered.result or {})
        if not _is_choice(entered.key[0]):
            earlier = [
                step
                for step in self._on_record()
                if step.attempt < context.job.attempt and not _is_choice(step.name)
            ]
            if len(earlier) + context._asked >= context._workflow.max_ai_calls:
                raise BudgetExceeded
            context._asked += 1
        self._entered = entered
        self._reservation = None
        return None

    def reserve(self, characters: int) -> None:
        if self._reservation is None:
            self._reservation = budget.reserve(self._context.user.pk, characters)

    def release(self) -> None:
        budget.release(self._reservation)

    def record(self, response: dict[str, Any], usage: Usage) -> None:
        context, entered = self._context, self._entered
        assert entered is not None, "An answer without a request."
        encoded = events.clean(response)
        tokens = usage["input_tokens"] + usage["output_tokens"]

        def record() -> None:
            with transaction.atomic():
                context._record(entered, encoded, usage)
                context.job.usage = total(step.usage or {} for step in self._on_record())
                Job.objects.filter(pk=context.job.pk).update(usage=context.job.usage)
                if tokens or usage["model"] == OFFLINE:
                    # Else the provider doesn't count; what was set aside stands for it.
                    budget.settle(self._reservation, tokens)

        with context._writing():
            context._persist(record)

    def show(self, text: str) -> None:
        if self._spoken and not self._speaking:
            text = f"{APART}{text}"
        self._speaking = True
        self._context.write(text)

    def start_over(self) -> None:
        self._speaking = False
        if self._entered is not None:
            self._context._start_over(self._entered)

    def check(self) -> None:
        self._context._attempt.check()

    def seconds_left(self) -> float:
        return self._context._attempt.deadline - monotonic()

    def _on_record(self) -> list[Step]:
        """Return the requests of the job that are recorded; not those of its earlier turns."""
        steps = self._context._steps.values()
        return [step for step in steps if step.usage and step.job_id == self._context.job.pk]

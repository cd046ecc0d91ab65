"""The verb that calls a model. Each request to it, and each call of a tool, is a recorded step."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypedDict, TypeVar

from asgiref.sync import async_to_sync, iscoroutinefunction
from pydantic_core import to_jsonable_python

from chatflow.conf import conf
from chatflow.workflows.ai import model_settings
from chatflow.workflows.ai.asides import Aside, Pausing, Threaded, may_await
from chatflow.workflows.ai.messages import ChatMessage, as_messages
from chatflow.workflows.ai.model_settings import ModelSettings
from chatflow.workflows.ai.routes import Route
from chatflow.workflows.ai.tools import describe_call, needs_approval
from chatflow.workflows.exceptions import BudgetExceeded, ToolError
from chatflow.workflows.running import approvals, files, steps
from chatflow.workflows.running.lanes import call_plain
from chatflow.workflows.running.model_requests import AI_STEP, Requests, list_requests
from chatflow.workflows.running.record import Record
from chatflow.workflows.running.step_keys import inside, is_choice, path_of, within

T = TypeVar("T")

Prompt = str | Sequence[ChatMessage]


class Options(TypedDict, total=False):
    """The options of ``ctx.ai`` beside the prompt and the output's type."""

    tools: Sequence[Callable[..., Any]]
    instructions: str | None
    model: str
    offline: Callable[[str], Any] | None
    toolless: Callable[[str], str] | None
    route: bool
    settings: ModelSettings
    show: bool


class ModelCalls:
    """The calls of one run, which share its workflow's ``max_ai_calls``."""

    def __init__(self, record: Record) -> None:
        self._record = record
        # Requests that this run has begun, recorded ones aside.
        self._begun = 0

    def run(self, work: Callable[[Aside], Coroutine[Any, Any, T]]) -> T:
        """Return the result of *work*, which calls models, to a plain workflow."""
        pausing = Pausing(self._record.attempt.shielded)
        return pausing.run(work(pausing.aside))

    async def arun(self, work: Callable[[Aside], Coroutine[Any, Any, T]]) -> T:
        """See run(); to a coroutine."""
        threaded = Threaded(call_plain)
        return await threaded.run(work(threaded.aside))

    async def talk(
        self,
        prompt: Prompt,
        output_type: Any,
        options: Options,
        aside: Aside,
        routes: Sequence[Route] = (),
        choose: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        """Make one call of the models. See Context.ai().

        Args:
            prompt: as in Context.ai(); so are output_type and options.
            aside: calls plain code.
            routes: the workflows that the model is offered.
            choose: chooses among them where the model can't be offered any.
        """
        with self._numbered():
            return await self._talk(prompt, output_type, options, aside, routes, choose)

    @contextmanager
    def _numbered(self) -> Iterator[None]:
        """Number the requests of one call by themselves: calls may go on side by side."""
        self._record.attempt.check()
        if steps.in_transaction.get():
            # Rolled back with it, the answer would be paid for again.
            raise TypeError("An atomic step can't ask a model. Ask before it, and pass the answer.")
        with within(path_of(self._record.take_key(AI_STEP))):
            yield

    async def _talk(
        self,
        prompt: Prompt,
        output_type: Any,
        options: Options,
        aside: Aside,
        routes: Sequence[Route],
        choose: Callable[[], Awaitable[None]] | None,
    ) -> Any:
        wanted = options.get("settings", {})
        model_settings.check(wanted)
        requests = Requests(
            self._record,
            self._spend,
            is_last=self._is_spent,
            told=options.get("toolless"),
            choose=choose,
        )
        with self._record.attempt.shielded():
            # It brings pydantic-ai and a provider's SDK along, which take a second to import; an
            # interruption in the middle would leave this process with half of a module.
            from chatflow.workflows.ai import calls

            models = calls.choose_models(
                options.get("model") or self._record.job.options.get("model", ""),
                requests.as_rule(options.get("offline")),
                aside,
            )
        messages = as_messages(prompt)
        if any(each.get("files") for each in messages):
            again = self._record.has_steps(inside.get())
            messages = await aside(partial(files.bring, self._record, messages, again=again))
        call = calls.Call(
            messages=messages,
            output_type=output_type,
            tools=options.get("tools", ()),
            routes=routes,
            instructions=options.get("instructions"),
            models=models,
            settings={**conf.AI_SETTINGS, **wanted},
            show=options.get("show", False),
        )

        async def use(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
            if iscoroutinefunction(function) and may_await(aside):
                return await _ause(self._record, function, arguments, aside)
            return await aside(partial(_use, self._record, function, arguments), own=True)

        return await calls.make_call(call, requests, aside, use)

    def _spend(self) -> None:
        """Count one more request.

        Raises:
            BudgetExceeded: the job has made all that it may.
        """
        if self._is_spent():
            raise BudgetExceeded
        self._begun += 1

    def _is_spent(self) -> bool:
        """Say whether the job has made all the requests that it may."""
        attempt = self._record.job.attempt
        earlier = [
            step
            for step in list_requests(self._record)
            if step.attempt < attempt and not is_choice(step.name)
        ]
        return len(earlier) + self._begun >= self._record.workflow.max_ai_calls


def _use(record: Record, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a tool that the model wants to use, where its user agrees."""
    refusal = _ask_for_approval(record, function, arguments)
    if refusal:
        return refusal
    name = f"Using {function.__name__}"
    return _read_outcome(steps.take(record, name, _run_tool, (function, arguments)))


async def _ause(
    record: Record, function: Callable[..., Any], arguments: dict[str, Any], aside: Aside
) -> Any:
    """See _use(); the tool is a coroutine function, and is awaited."""
    refusal = await aside(partial(_ask_for_approval, record, function, arguments))
    if refusal:
        return refusal
    name = f"Using {function.__name__}"
    outcome = await steps.atake(
        record, name, _arun_tool, (function, arguments), {}, atomic=False, retries=0
    )
    return _read_outcome(outcome)


def _ask_for_approval(
    record: Record, function: Callable[..., Any], arguments: dict[str, Any]
) -> str:
    """Return what the model is told if the user doesn't agree to the call; else nothing."""
    if not needs_approval(function):
        return ""
    name = function.__name__
    shown = to_jsonable_python(arguments)
    approval = approvals.approve(
        record,
        f"The model wants to use {describe_call(name, shown)}. Do you agree?",
        details={"tool": name, "arguments": shown},
        # The record's keys are as they were before questions told the arguments.
        name=f"The model wants to use {name}. Do you agree?",
    )
    if approval.approved:
        return ""
    reason = f" They say: {approval.reason}" if approval.reason else ""
    return f"The user does not agree to this call.{reason}"


def _run_tool(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool; return its result or refusal as JSON, as the model gets to see it."""
    if iscoroutinefunction(function):
        function = async_to_sync(function)
    try:
        return {"result": to_jsonable_python(function(**arguments))}
    except ToolError as error:
        return {"refused": str(error)}


async def _arun_tool(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """See _run_tool()."""
    try:
        return {"result": to_jsonable_python(await function(**arguments))}
    except ToolError as error:
        return {"refused": str(error)}


def _read_outcome(outcome: dict[str, Any]) -> Any:
    if "refused" in outcome:
        raise ToolError(outcome["refused"])
    return outcome["result"]

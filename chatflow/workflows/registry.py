"""The registered workflows, by name."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Never

from asgiref.sync import iscoroutinefunction
from django.utils.module_loading import autodiscover_modules

from chatflow.conf import conf
from chatflow.workflows.exceptions import UnknownWorkflow, WrongWorkflow
from chatflow.workflows.mistakes import Hint, find_code, find_mistakes

WorkflowFunction = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A registered function and how its jobs are to be run. See :func:`workflow`."""

    name: str
    function: WorkflowFunction
    place: str
    title: str
    description: str
    triggers: tuple[str, ...]
    steps: int | None
    max_execution_time: float
    max_ai_calls: int
    tries: int
    backoff: tuple[float, ...]
    retry_until: float | None
    queue: str
    priority: int
    unique_key: Callable[..., str] | None
    hint: Hint | None

    @property
    def is_async(self) -> bool:
        """Whether its function is a coroutine function: a worker runs its jobs beside others."""
        return iscoroutinefunction(self.function)


_workflows: dict[str, Workflow] = {}


def workflow(
    name: str,
    *,
    title: str = "",
    description: str = "",
    triggers: list[str] | tuple[str, ...] = (),
    steps: int | None = None,
    max_execution_time: float | None = None,
    max_ai_calls: int | None = None,
    tries: int = 1,
    backoff: float | list[float] | tuple[float, ...] = 0,
    retry_until: float | None = None,
    queue: str = "default",
    priority: int = 0,
    unique_key: Callable[..., str] | None = None,
    hint: Hint | None = None,
    **unknown: Never,
) -> Callable[[WorkflowFunction], WorkflowFunction]:
    """Register the decorated function, sync or async, as a workflow.

    Args:
        name: its name for clients and jobs; unique.
        title: its name for people; by default the name with spaces.
        description: one sentence for people and for the model that routes messages.
        triggers: words or phrases; a message that contains one of them starts this workflow.
        steps: how many steps a run has; from it comes "Processing step 2 of 4..." and progress.
        max_execution_time: seconds that a job may run, over all its attempts; by default
            ``WORKFLOW_MAX_EXECUTION_TIME``.
        max_ai_calls: calls of a model that a job may make; by default ``WORKFLOW_MAX_AI_CALLS``.
        tries: how often a job may raise an exception before it fails.
        backoff: seconds to wait before the next try; a list gives one for each.
        retry_until: instead of counting tries, try again for so many seconds since the send.
        queue: the queue that its jobs wait in.
        priority: jobs of a higher one are taken first, within a queue.
        unique_key: called with the user and the message; while a job of the same key is queued or
            running, another one is refused.
        hint: whether ``async: "auto"`` runs it at once (``short``) or in the background (``long``).
        unknown: there are no others.

    Returns:
        The decorator, which gives the function back unchanged.

    Raises:
        WrongWorkflow: the function or an option can't be used, or another function has that name.
    """
    options = {
        option: value for option, value in locals().items() if option not in ("name", "unknown")
    }
    if callable(name):
        # Without parentheses the function comes in place of the name.
        file, line = _find_place(name, sys._getframe(1))
        wish = f'write @workflow("{getattr(name, "__name__", "create_invoice")}")'
        raise WrongWorkflow(f"A workflow has no name: {wish}.", file, line)

    def register(function: WorkflowFunction) -> WorkflowFunction:
        frame = sys._getframe(1)
        file, line = _find_place(function, frame)
        for mistake in find_mistakes(name, options, unknown, function):
            raise WrongWorkflow(mistake, file, line)
        known = _workflows.get(name)
        if known is not None and not _is_again(known.function, function, frame.f_code):
            mistake = f"Two workflows are called {name!r}: give this one or that of {known.place}"
            raise WrongWorkflow(f"{mistake} another name.", file, line)
        _workflows[name] = Workflow(
            name=name,
            function=function,
            place=f"{file}:{line}",
            title=title or name.replace("_", " ").capitalize(),
            description=description or (function.__doc__ or "").strip().split("\n")[0],
            triggers=tuple(trigger.strip().lower() for trigger in triggers),
            steps=steps,
            max_execution_time=(
                conf.WORKFLOW_MAX_EXECUTION_TIME
                if max_execution_time is None
                else max_execution_time
            ),
            max_ai_calls=conf.WORKFLOW_MAX_AI_CALLS if max_ai_calls is None else max_ai_calls,
            tries=tries,
            backoff=tuple(backoff) if isinstance(backoff, list | tuple) else (backoff,),
            retry_until=retry_until,
            queue=queue,
            priority=priority,
            unique_key=unique_key,
            hint=hint,
        )
        return function

    return register


def _find_place(function: object, frame: FrameType) -> tuple[str, int]:
    """Return the file and the line of a function, or else of the frame that registers it."""
    code = find_code(function)
    if code is None:
        return frame.f_code.co_filename, frame.f_lineno
    return code.co_filename, code.co_firstlineno


def _is_again(known: WorkflowFunction, function: WorkflowFunction, scope: CodeType) -> bool:
    """Say whether a function is the known one once more, as when its module is imported again.

    Args:
        known: as it was registered.
        function: what is to be registered.
        scope: the code that does so.
    """
    old, new = find_code(known), find_code(function)
    if old is None or new is None:
        return known is function
    if (old.co_filename, old.co_qualname) != (new.co_filename, new.co_qualname):
        return False
    # A module that has both has two functions of one name; one that is imported again is new code.
    has_both = scope.co_name == "<module>" and any(each is old for each in scope.co_consts)
    return old is new or not has_both


def discover() -> None:
    """Import the ``workflows`` module of every installed app that has one."""
    autodiscover_modules("workflows")


def get_workflow(name: str) -> Workflow:
    """Return the workflow called *name*.

    Raises:
        UnknownWorkflow: there is none.
    """
    try:
        return _workflows[name]
    except KeyError:
        raise UnknownWorkflow(f"There is no workflow called {name!r}.") from None


def all_workflows() -> list[Workflow]:
    """Return every workflow, by name."""
    return sorted(_workflows.values(), key=lambda workflow: workflow.name)

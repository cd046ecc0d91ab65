"""The verb that does something once: its result is recorded, and comes again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async

from chatflow.workflows import db, tracing
from chatflow.workflows.exceptions import StepResultError, TurnEnded
from chatflow.workflows.models import Step
from chatflow.workflows.running import step_results
from chatflow.workflows.running.lanes import call_plain
from chatflow.workflows.running.record import Entered, Record
from chatflow.workflows.running.step_keys import within
from chatflow.workflows.store import events
from chatflow.workflows.store.outage import is_outage

T = TypeVar("T")

# The step that is being run is an atomic one, or inside of one.
in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)


def take(
    record: Record,
    name: str,
    function: Callable[..., T],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    atomic: bool = False,
    retries: int = 0,
) -> T:
    """See Context.step()."""
    _check_function(name, function)
    if iscoroutinefunction(function):
        first = "" if record.is_async else "make the workflow an async def, and "
        raise TypeError(
            f"Step {name!r} has a coroutine function: {first}write await ctx.astep({name!r}, …), "
            "or give it a plain function."
        )
    entered = record.enter(name)
    if isinstance(entered, Step):
        recorded: T = step_results.load(name, function, entered.result)
        return recorded
    with tracing.span(f"step {name}"):
        return _try_until(record, entered, function, args, kwargs or {}, atomic, retries)


def _try_until(
    record: Record,
    entered: Entered,
    function: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    atomic: bool,
    retries: int,
) -> T:
    for retry in range(retries + 1):
        try:
            return _try(record, entered, function, args, kwargs, atomic)
        except TurnEnded:
            if atomic:
                # Its record was rolled back: it would be asked again for ever.
                raise TypeError("An atomic step can't ask the user anything.") from None
            raise
        except Exception as error:
            if atomic:
                record.roll_back(entered)
            if retry == retries or _is_final(error):
                raise
            record.start_over(entered)
    raise AssertionError("A step neither returned nor raised.")


async def atake(
    record: Record,
    name: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    atomic: bool,
    retries: int,
) -> Any:
    """See Context.astep()."""
    _check_function(name, function)
    if atomic:
        if iscoroutinefunction(function):
            raise TypeError("An atomic step must be a plain function: transactions are not async.")
        # All in one thread: the function and its record share a transaction.
        return await call_plain(
            take, record, name, function, args, kwargs, atomic=True, retries=retries
        )
    entered = await sync_to_async(record.enter)(name)
    if isinstance(entered, Step):
        return step_results.load(name, function, entered.result)
    call = function if iscoroutinefunction(function) else partial(call_plain, function)
    with tracing.span(f"step {name}"):
        for retry in range(retries + 1):
            try:
                with within(entered.path):
                    value = await call(*args, **kwargs)
                break
            except Exception as error:
                if retry == retries or _is_final(error):
                    raise
                await sync_to_async(record.start_over)(entered)
        return await sync_to_async(_finish)(record, entered, function, value)


def _check_function(name: str, function: object) -> None:
    if not callable(function):
        kind = type(function).__name__
        raise TypeError(
            f"Step {name!r} is given a value of type {kind}: give it a function, "
            f"and the arguments behind it, as in ctx.step({name!r}, function, argument)."
        )


def leave(record: Record, entered: Entered, function: Callable[..., Any], value: Any) -> Any:
    """Record what *function* returned in a step, and return it as a later run will find it.

    Raises:
        StepResultError: it can't be recorded.
    """
    with record.events.writing():
        encoded = events.clean(step_results.dump(entered.key[0], function, value))
        record.leave(entered, encoded)
        return step_results.load(entered.key[0], function, encoded)


def _try(
    record: Record,
    entered: Entered,
    function: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    atomic: bool,
) -> T:
    # The shield outlasts the transaction, so that its commit isn't torn.
    with within(entered.path), _marked(atomic), ExitStack() as shield:
        with _transaction(record) if atomic else nullcontext():
            value = function(*args, **kwargs)
            record.attempt.check()
            shield.enter_context(record.events.writing())
            result: T = leave(record, entered, function, value)
    return result


@contextmanager
def _transaction(record: Record) -> Iterator[None]:
    with record.events.in_transaction(), db.atomic():
        yield


def _finish(record: Record, entered: Entered, function: Callable[..., Any], value: Any) -> Any:
    record.attempt.check()
    return leave(record, entered, function, value)


def _is_final(error: Exception) -> bool:
    """Return whether another try is no use: it would return the same, or meet a dead connection."""
    return isinstance(error, StepResultError) or is_outage(error)


@contextmanager
def _marked(atomic: bool) -> Iterator[None]:
    token = in_transaction.set(atomic or in_transaction.get())
    try:
        yield
    finally:
        in_transaction.reset(token)

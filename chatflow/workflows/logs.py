"""The log as JSON: one object a line, with the ids of what was being done, and no words of users.

``LOG_FORMAT=json`` puts it on standard output; another project names ``JsonLines`` as a formatter
in its ``LOGGING``. What an exception says may quote whoever caused it, so that only its type and
place are told; its text stands in the job's page.
"""

import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from chatflow.workflows import tracing

# Frames that are told of an exception, the innermost.
FRAMES = 12
# Where these end, others' messages go on with what we don't know.
OWN = "chatflow"

_facts: ContextVar[Mapping[str, Any]] = ContextVar("log_facts", default=MappingProxyType({}))


class Outage:
    """Something that fails again and again: once, and then once in a while, is enough to tell."""

    # Seconds between two lines.
    QUIET = 30.0

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def is_news(self) -> bool:
        """Say whether this failure is to be told."""
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + self.QUIET
        return True

    def end(self) -> None:
        """It works; the next failure is another one."""
        self._quiet_until = 0.0


@contextmanager
def telling(**facts: str | int | Callable[[], Any]) -> Iterator[None]:
    """Tell these in all lines that are logged meanwhile, in this context.

    Args:
        facts: ids; or what returns one when a line is written, or nothing if there is none yet.
    """
    token = _facts.set({**_facts.get(), **facts})
    try:
        yield
    finally:
        _facts.reset(token)


def told() -> dict[str, Any]:
    """Return what is being told in this context."""
    facts = {name: fact() if callable(fact) else fact for name, fact in _facts.get().items()}
    return {name: fact for name, fact in facts.items() if fact not in (None, "")}


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
            **told(),
            **of_record(record),
        }
        if found := tracing.present():
            line["trace"] = found.split("-")[1]
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def message_of(record: logging.LogRecord) -> str:
    """Return the message, in which an exception is only named."""
    args = record.args
    if record.name == "uvicorn.access" and isinstance(args, tuple) and len(args) == 5:
        # Whoever asks may have put anything into the query.
        args = (*args[:2], str(args[2]).partition("?")[0], *args[3:])
    if isinstance(args, tuple):
        args = tuple(_named(each) for each in args)
    message = str(_named(record.msg))
    try:
        message = message % args if args else message
    except (TypeError, ValueError):
        # As Python's own logging it goes on; but with the pattern alone.
        pass
    if record.name.partition(".")[0] != OWN:
        # asyncio tells a task's exception below, django-q2 a traceback.
        message = message.partition("\n")[0]
    return message


def of_record(record: logging.LogRecord) -> dict[str, Any]:
    """Return the ids that a record itself brings."""
    found = {}
    job, request = getattr(record, "job", None), getattr(record, "request", None)
    if job is not None:
        found["job"] = str(job)
    if asked := getattr(request, "id_for_log", ""):
        found["request"] = asked
    return found


def describe(error: BaseException) -> dict[str, Any]:
    """Return the type of an exception, where it was raised, and the same of what it came from."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    found: dict[str, Any] = {
        "type": type(error).__qualname__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        found["from"] = describe(cause)
    return found


def _named(value: object) -> object:
    return type(value).__qualname__ if isinstance(value, BaseException) else value

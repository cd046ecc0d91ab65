"""Time travel: a day passes at once.

The engine goes by the database's clock, which no test can set. So its rows grow older instead:
whatever they say is to happen in an hour is to happen now. What goes by ``timezone.now()``, as a
team's own code does, is told another time.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from weakref import WeakSet

from django.apps import apps
from django.db.models import DateTimeField, F
from django.utils import timezone

from chatflow.workflows.models import Job, Message
from chatflow.workflows.running.attempt import Attempt

# A worker that lives renews its leases, however long it takes.
RENEWED = {(Job, "lease_until")}
# Rows with moments in their JSON: of what is offered or asked until then.
OFFERS = ((Job, ("actions", "offers", "awaiting")), (Message, ("actions",)))
EXPIRY = "expires_at"

# The running attempts, whose deadlines go by the process's own clock.
_attempts: WeakSet[Attempt] = WeakSet()


def follow(attempt: Attempt) -> None:
    """Let the deadline of a running attempt come nearer when time passes."""
    _attempts.add(attempt)


def freeze(moment: datetime | str) -> None:
    """Let ``timezone.now()`` stand still, until the end of the test.

    It is for code that asks what time it is. Expiries and deadlines go by the database's clock:
    see advance(), which moves a frozen clock on as well.

    Args:
        moment: the time that it is, with its time zone; or in ISO's format, by default in the
            current time zone: ``"2027-02-28 23:59"``.
    """
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    _clock.set(lambda: moment)


def advance(seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
    """Let time pass: for approvals, actions, delays and deadlines, and for ``timezone.now()``.

    Called in the middle of a step, it counts as the step's own time.

    Args:
        seconds: how much; minutes, hours and days come on top.
    """
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    for model in apps.get_app_config(Job._meta.app_label).get_models():
        _grow_older(model, span)
    for model, names in OFFERS:
        for row in model._default_manager.all():
            _bring_nearer(row, names, span)
    for attempt in _attempts:
        attempt.deadline -= span.total_seconds()
    _clock.pass_by(span)


def put_right() -> None:
    """Let ``timezone.now()`` tell the true time again."""
    _clock.put_right()


@contextmanager
def set_clock(off: timedelta) -> Iterator[None]:
    """Let all of Django believe for a while that the present is *off* the true one."""
    right = timezone.now
    with told(lambda: right() + off):
        yield


@contextmanager
def told(now: Callable[[], datetime]) -> Iterator[None]:
    """Let all of Django be told by *now* for a while what time it is."""
    right = timezone.now
    with ExitStack() as patches:
        patches.enter_context(patch.object(timezone, "now", now))
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if field.default is right:
                    # Where a field looks its default up.
                    patches.enter_context(patch.dict(field.__dict__, _get_default=now))
        yield


class _Clock:
    """What ``timezone.now()`` tells in this test."""

    def __init__(self) -> None:
        self._patches = ExitStack()
        self._tell: Callable[[], datetime] | None = None
        self._passed = timedelta()

    def set(self, tell: Callable[[], datetime]) -> None:
        if self._tell is None:
            self._patches.enter_context(told(self._now))
        self._tell, self._passed = tell, timedelta()

    def pass_by(self, span: timedelta) -> None:
        if self._tell is None:
            self.set(timezone.now)
        self._passed += span

    def put_right(self) -> None:
        self._patches.close()
        self._tell = None

    def _now(self) -> datetime:
        assert self._tell is not None, "It tells the true time."
        return self._tell() + self._passed


_clock = _Clock()


def _grow_older(model: type[Any], span: timedelta) -> None:
    moments = {
        field.name: F(field.name) - span
        for field in model._meta.concrete_fields
        if isinstance(field, DateTimeField) and (model, field.name) not in RENEWED
    }
    if moments:
        model._default_manager.update(**moments)


def _bring_nearer(row: Any, names: tuple[str, ...], span: timedelta) -> None:
    changed = []
    for name in names:
        value = getattr(row, name)
        if (nearer := _nearer(value, span)) != value:
            setattr(row, name, nearer)
            changed.append(name)
    if changed:
        row.save(update_fields=changed)


def _nearer(value: Any, span: timedelta) -> Any:
    if isinstance(value, list):
        return [_nearer(each, span) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _earlier(each, span) if key == EXPIRY and each else _nearer(each, span)
        for key, each in value.items()
    }


def _earlier(moment: str, span: timedelta) -> str:
    return (datetime.fromisoformat(moment) - span).isoformat().replace("+00:00", "Z")

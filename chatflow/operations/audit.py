"""What members of the staff did: each act is recorded, by whatever way they did it."""

import getpass
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import translation

from chatflow.operations.models import ACT_LENGTH, NAME_LENGTH, Act
from chatflow.wire.addresses import client_address

logger = logging.getLogger(__name__)

_request: ContextVar[HttpRequest | None] = ContextVar("recorded_request", default=None)

VERBS = {ADDITION: "Add", CHANGE: "Change", DELETION: "Delete"}


def record(
    request: HttpRequest, target: Model | None, act: str, why: str = "", *, outcome: str = ""
) -> Act:
    """Record an act of the one who asks.

    Args:
        request: theirs.
        target: the row that it was done to; None for the installation as a whole.
        act: what was done, in a word or two that are the same each time, such as "Cancel".
        why: the reason that they gave.
        outcome: what became of it; nothing that users or models wrote.
    """
    user: Any = request.user
    if target is not None:
        # For the page "History" of Django's admin, which shows nothing else.
        said = f"{act}: {outcome}" if outcome else act
        _add_to_history(user, target, f"{said} “{why}”" if why else said)
    return record_form(request, target, act, why, outcome=outcome)


def record_form(
    request: HttpRequest, target: Model | None, act: str, why: str = "", *, outcome: str = ""
) -> Act:
    """Record what a form of Django's admin did, which keeps its own history; see record()."""
    user: Any = request.user
    return _store(
        who_key=str(user.pk),
        who=user.get_username(),
        origin=client_address(request) or "",
        act=act,
        target=target,
        outcome=outcome,
        why=why,
    )


def record_sign_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """Record that a member of the staff has signed in."""
    # Whoever is signed in by code alone, as in a test, came from nowhere.
    if getattr(user, "is_staff", False) and request is not None and request.method:
        _store(
            who_key=str(user.pk),
            who=user.get_username(),
            origin=client_address(request) or "",
            act="Sign in",
            target=user,
            outcome="",
            why="",
        )


@contextmanager
def during(request: HttpRequest) -> Iterator[None]:
    """Let mirror() know the request by which Django's history is written."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def receive(sender: Any, *, act: str, target: Model | None, outcome: str, **kwargs: Any) -> None:
    """Record what a command of the engine tells; see console.acted."""
    record_at_terminal(target, act, outcome=outcome)


def mirror(sender: Any, instance: LogEntry, created: bool, **kwargs: Any) -> None:
    """Record what Django's admin did to accounts and groups: who may do what is decided there.

    Django keeps that in rows that can be deleted.
    """
    if created:
        mirror_entry(instance)


def mirror_entry(instance: LogEntry) -> None:
    """Record what a row of Django's history tells, if it is of an account or a group."""
    kind = instance.content_type
    model = kind.model_class() if kind is not None else None
    if model is None or not issubclass(model, (get_user_model(), Group)):
        return
    request = _request.get()
    with translation.override("en"):
        # The names of the fields that were changed.
        outcome = instance.get_change_message()
    _store(
        who_key=str(instance.user_id),
        who=instance.user.get_username(),
        origin=(client_address(request) or "") if request is not None else "",
        act=f"{VERBS[instance.action_flag]} {model._meta.verbose_name_raw}",
        target=model(pk=instance.object_id),
        outcome=outcome,
        why="",
    )


def record_at_terminal(target: Model | None, act: str, why: str = "", *, outcome: str = "") -> Act:
    """Record an act of whoever runs a command, by the name that the operating system has for them.

    Args:
        target: as for record(), and the others too.
        act: as there.
        why: as there.
        outcome: as there.
    """
    origin = f"terminal of {socket.gethostname()}"
    return _store(
        who_key="",
        who=_account(),
        origin=origin,
        act=act,
        target=target,
        outcome=outcome,
        why=why,
    )


def acts_on(target: Model) -> QuerySet[Act]:
    """Return the acts on a row, the latest first: for its page, beside what else is shown of it."""
    found = Act.objects.filter(target_type=target._meta.label_lower, target_id=id_of(target))
    return found.order_by("-pk")


def id_of(target: Model) -> str:
    """Return what acts call a row by: its public id, or its key where it has none."""
    return str(getattr(target, "public_id", target.pk))


def _add_to_history(user: Any, target: Model, words: str) -> None:
    entry = LogEntry(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(target),
        object_id=str(target.pk),
        object_repr=str(target)[:200],
        action_flag=CHANGE,
        change_message=words,
    )
    # Not saved by itself: mirror() would record it once more.
    LogEntry.objects.bulk_create([entry])


def _store(*, who: str, origin: str, act: str, target: Model | None, **values: Any) -> Act:
    row = Act.objects.create(
        who=who[:NAME_LENGTH],
        origin=origin[:NAME_LENGTH],
        act=act[:ACT_LENGTH],
        target_type="" if target is None else target._meta.label_lower,
        target_id="" if target is None else id_of(target),
        **values,
    )
    # For who keeps the log of the site elsewhere, where nobody who is in here reaches it.
    logger.info(
        "%s did %s to %s %s from %s.", row.who, row.act, row.target_type, row.target_id, row.origin
    )
    return row


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        return "unknown"

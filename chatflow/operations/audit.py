"""What members of the staff did: each act is recorded, by whatever way they did it."""

import getpass
import logging
import socket
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from chatflow.addresses import client_address
from chatflow.operations.models import ACT_LENGTH, NAME_LENGTH, Act

logger = logging.getLogger(__name__)


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
        words = ": ".join(filter(None, [act, outcome, why]))
        LogEntry.objects.log_actions(user.pk, [target], CHANGE, words, single_object=True)
    return _store(
        who_key=str(user.pk),
        who=user.get_username(),
        origin=client_address(request) or "",
        act=act,
        target=target,
        outcome=outcome,
        why=why,
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

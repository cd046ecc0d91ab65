"""Changes of a user's sessions, in the order in which the user's stream tells of them.

Each write of a session gives it a number, see Database.changed(). On PostgreSQL one that commits
late may have a lower number than one that is seen already; so a reader's cursor never goes past
what is certain, and a change that isn't may be seen twice.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from chatflow.workflows.bells import get_bell, user_key
from chatflow.workflows.db import connection
from chatflow.workflows.models import DeletedSession, Session
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.rows import expression

# How old a cursor may be, and how much longer it is known that a session was deleted.
CURSOR_KEPT = timedelta(days=7)
SLACK = timedelta(days=1)

BURY = """
    INSERT INTO workflows_deletedsession (user_id, tenant, key, changed, deleted_at)
    VALUES (%(user)s, %(tenant)s, %(key)s, {changed}, {now})
"""


class Certain(NamedTuple):
    """Up to which number all changes are known, and below which number all that are known lie."""

    upto: int
    below: int


def change(sessions: QuerySet[Session], user_id: Any, **values: Any) -> int:
    """Update sessions of one user, so that the user's streams tell it; and ring.

    Args:
        sessions: which.
        user_id: the user's primary key.
        values: the new values of their columns.

    Returns:
        How many there were.
    """
    number = expression(get_database().changed("%(user)s"), {"user": _parameter(user_id)})
    changed = sessions.update(**values, changed=number)
    if changed:
        get_bell().ring("sessions", user_key(user_id))
    return changed


def bury(session: Session) -> None:
    """Keep for a while that the session was deleted, in the transaction that does so; and ring."""
    database = get_database()
    query = BURY.format(changed=database.changed("%(user)s"), now=database.now())
    params = {"user": _parameter(session.user_id), "tenant": session.tenant, "key": session.key}
    with connection.cursor() as cursor:
        cursor.execute(query, params)
    get_bell().ring("sessions", user_key(session.user_id))


def forget_deleted() -> None:
    """Delete what no cursor that counts still needs."""
    DeletedSession.objects.filter(deleted_at__lt=Now() - CURSOR_KEPT - SLACK).delete()


def certain(user_id: Any) -> Certain:
    """Return which changes of a user's sessions are certain just now."""
    with connection.cursor() as cursor:
        cursor.execute(get_database().certain("%(user)s"), {"user": _parameter(user_id)})
        return Certain(*cursor.fetchone())


def moved(cursors: Mapping[Any, int]) -> tuple[dict[Any, int], int]:
    """Return the users with changes past their cursors; two queries for all of them.

    They cost the same however many sessions there are.

    Args:
        cursors: by the user's primary key.

    Returns:
        By these users, the number of the latest change; and the number up to which the others have
        all changes.
    """
    # Before the rows, and no row beyond its bound: as in every look.
    now = certain(next(iter(cursors)))
    users = get_user_model()._base_manager.filter(pk__in=list(cursors))
    newest = users.values_list(
        "pk", _newest(Session, now.below), _newest(DeletedSession, now.below)
    )
    latest = {user: max(number or 0 for number in numbers) for user, *numbers in newest}
    found = {user: number for user, number in latest.items() if number > cursors[user]}
    # Where one writes at a time, each user has numbers apart.
    return found, now.upto if get_database().locks_rows else 0


def _newest(kind: type[Session | DeletedSession], below: int) -> Subquery:
    """Return the number of a user's latest change below that bound, which the index has at hand."""
    mine = kind._default_manager.filter(user=OuterRef("pk"), changed__lt=below)
    return Subquery(mine.order_by("-changed").values("changed")[:1])


def _parameter(user_id: Any) -> Any:
    return Session._meta.get_field("user").get_db_prep_value(user_id, connection)

"""Changes of sessions: their numbers, and what a look at them tells."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from chatflow.workflows.bells import get_bell, user_key
from chatflow.workflows.models import DeletedSession, Session
from chatflow.workflows.store import changes
from chatflow.workflows.store.changes import CURSOR_KEPT, SLACK, bury, certain, change, moved

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was rung."""
    rings: list[tuple[str, Any]] = []
    monkeypatch.setattr(get_bell(), "ring", lambda *ring: rings.append(ring))
    return rings


def make_session(user: User, key: str = "a") -> Session:
    return Session.objects.create(user=user, key=key)


def number(session: Session) -> int:
    session.refresh_from_db()
    return session.changed


def test_a_change_is_numbered_and_rung(alice: User, rung: list[tuple[str, Any]]) -> None:
    session = make_session(alice)
    assert change(Session.objects.filter(pk=session.pk), alice.pk, title="One") == 1
    first = number(session)
    change(Session.objects.filter(pk=session.pk), alice.pk, pinned=True)
    assert number(session) > first > 0
    assert (session.title, session.pinned) == ("One", True)
    assert rung == [("sessions", user_key(alice.pk))] * 2


def test_what_changes_nothing_rings_nobody(alice: User, rung: list[tuple[str, Any]]) -> None:
    assert change(Session.objects.none(), alice.pk, title="One") == 0
    assert rung == []


def test_what_is_committed_is_certain(alice: User) -> None:
    session = make_session(alice)
    change(Session.objects.all(), alice.pk, title="One")
    now = certain(alice.pk)
    assert number(session) <= now.upto < now.below


def test_a_deletion_is_a_change(alice: User, rung: list[tuple[str, Any]]) -> None:
    session = make_session(alice)
    change(Session.objects.all(), alice.pk, title="One")
    before = number(session)
    bury(session)
    gone = DeletedSession.objects.get()
    assert (gone.key, gone.user) == ("a", alice)
    assert gone.changed > before
    assert rung[-1] == ("sessions", user_key(alice.pk))


def test_a_deletion_is_forgotten_when_no_cursor_needs_it(alice: User) -> None:
    bury(make_session(alice))
    changes.forget_deleted()
    assert DeletedSession.objects.count() == 1
    DeletedSession.objects.update(deleted_at=timezone.now() - CURSOR_KEPT - 2 * SLACK)
    changes.forget_deleted()
    assert DeletedSession.objects.count() == 0


def test_who_has_moved(alice: User, bob: User, charlie: User) -> None:
    session = make_session(alice)
    change(Session.objects.all(), alice.pk, title="One")
    bury(make_session(bob))
    deleted = DeletedSession.objects.get().changed
    users = {alice.pk: 0, bob.pk: 0, charlie.pk: 0}
    assert moved(users)[0] == {alice.pk: number(session), bob.pk: deleted}
    seen = {alice.pk: number(session), bob.pk: deleted, charlie.pk: 0}
    assert moved(seen)[0] == {}
    assert moved({**seen, bob.pk: deleted - 1})[0] == {bob.pk: deleted}


def test_numbers_of_another_server_move_nobody(alice: User) -> None:
    """The database was restored from one that has counted further."""
    make_session(alice)
    Session.objects.update(changed=certain(alice.pk).below + 10**9)
    assert moved({alice.pk: 0})[0] == {}


@pytest.mark.sqlite
def test_a_look_costs_no_more_with_many_sessions(
    alice: User, bob: User, steps: Callable[[], int]
) -> None:
    """Also for one whose cursor is older than all changes of the others."""

    def look() -> int:
        before = steps()
        moved({alice.pk: 0, bob.pk: 10**6})
        return steps() - before

    def make(numbers: range) -> None:
        Session.objects.bulk_create(
            Session(user=bob, key=f"{place}", changed=place + 1) for place in numbers
        )

    make(range(10))
    few = look()
    make(range(10, 3000))
    # Newer versions of SQLite take a few steps less.
    assert look() <= few


@pytest.fixture
def steps() -> Any:
    """Return how many steps SQLite has taken until now."""
    connection.ensure_connection()
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    assert connection.connection is not None
    connection.connection.set_progress_handler(count, 1)
    yield lambda: taken
    connection.connection.set_progress_handler(None, 0)

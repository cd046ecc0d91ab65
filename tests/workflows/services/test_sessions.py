"""A conversation as a whole: opened, renamed, pinned and read. Deleted: test_deletion.py."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import services
from chatflow.workflows.models import Session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(alice: User) -> Session:
    return services.open_session(alice, "s")


def test_it_is_opened_once(alice: User, bob: User, session: Session) -> None:
    assert services.open_session(alice, "s") == session
    assert services.open_session(bob, "s") != session
    assert (session.user, session.key, session.title) == (alice, "s", "")


def test_to_open_it_reads_it(alice: User, session: Session) -> None:
    Session.objects.update(unread=True)
    assert services.open_session(alice, "s").unread is False


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({"title": "Mine"}, {"title": "Mine", "pinned": False, "unread": True}),
        ({"pinned": True}, {"title": "", "pinned": True, "unread": True}),
        ({"read": True}, {"title": "", "pinned": False, "unread": False}),
        (
            {"title": "Mine", "pinned": True, "read": True},
            {"title": "Mine", "pinned": True, "unread": False},
        ),
    ],
)
def test_it_is_changed(session: Session, wanted: Any, kept: Any) -> None:
    Session.objects.update(unread=True)
    session.refresh_from_db()
    before, place = session.changed, session.updated_at
    services.change_session(session, **wanted)
    session.refresh_from_db()
    assert {name: getattr(session, name) for name in kept} == kept
    assert session.changed > before
    # Its place in the list is that of its last message.
    assert session.updated_at == place


def test_what_it_is_already_is_no_change(session: Session) -> None:
    services.change_session(session, title="Mine")
    session.refresh_from_db()
    before = session.changed
    services.change_session(session, title="Mine", pinned=False, read=True)
    services.change_session(session)
    session.refresh_from_db()
    assert session.changed == before

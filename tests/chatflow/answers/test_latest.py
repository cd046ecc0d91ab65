"""The latest messages of a conversation."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.answers import latest as module
from chatflow.answers.latest import latest
from chatflow.workflows.models import Message, Session

pytestmark = pytest.mark.django_db


def said(alice: User, *texts: str) -> Session:
    session = Session.objects.create(user=alice, key="s")
    rows = [Message(session=session, role="user", content=text) for text in texts]
    Message.objects.bulk_create(rows)
    return session


def test_it_works(alice: User) -> None:
    session = said(alice, "One", "Two", "Three")
    assert [row.content for row in latest(session.messages.all(), 2)] == ["Two", "Three"]
    assert len(latest(session.messages.all(), 9)) == 3
    assert latest(session.messages.none(), 9) == []


def test_long_ones_are_not_read(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHARACTERS", 10)
    session = said(alice, "x" * 4, "Four", "Fünf")
    with CaptureQueriesContext(connection) as queries:
        found = [row.content for row in latest(session.messages.all(), 9)]
    assert found == ["Four", "Fünf"]
    assert len(queries) == 2


def test_the_last_one_is_there_however_long(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHARACTERS", 10)
    session = said(alice, "One", "x" * 11)
    assert [row.content for row in latest(session.messages.all(), 9)] == ["x" * 11]

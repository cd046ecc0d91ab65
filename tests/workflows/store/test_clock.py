"""The present is never before what has just been written."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from workflows.models import Session
from workflows.store.clock import sql_now, sql_seconds_since

pytestmark = pytest.mark.django_db


def asked(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}", [])
        return cursor.fetchone()[0]


def test_it_works() -> None:
    later = asked(sql_now(60))
    moment = later if isinstance(later, datetime) else datetime.fromisoformat(f"{later}+00:00")
    assert abs(moment - timezone.now() - timedelta(minutes=1)) < timedelta(seconds=10)


def test_what_python_has_just_made_does_not_lie_ahead(alice: User) -> None:
    """On SQLite they are compared as texts, and its clock has milliseconds."""
    session = Session.objects.create(user=alice, key="s")
    for _ in range(200):
        Session.objects.filter(pk=session.pk).update(updated_at=timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT updated_at <= {sql_now()}, {sql_seconds_since('updated_at')}"
                " FROM workflows_session",
                [],
            )
            past, seconds = cursor.fetchone()
        assert past
        # As exact as SQLite's julianday is.
        assert seconds > -0.0005

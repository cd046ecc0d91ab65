"""PostgreSQL keeps the contract; and has locks of rows, and connections that break."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from tests.workflows.chat import NET
from tests.workflows.store.database.contract import DatabaseContract
from workflows.models import Session
from workflows.store.database import get_database
from workflows.store.database.postgres import Postgres

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]


class TestPostgres(DatabaseContract):
    kind = Postgres


class TestInOneStatement(DatabaseContract):
    """Outside of a transaction a write is one message, with the ring behind its commit."""

    kind = Postgres
    pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.django_db(transaction=True)
def test_a_lock_is_waited_for_no_longer_than_was_said(alice: User) -> None:
    session = Session.objects.create(user=alice, key="s")
    locked, done = threading.Event(), threading.Event()

    def lock() -> None:
        with transaction.atomic():
            Session.objects.select_for_update().get(pk=session.pk)
            locked.set()
            done.wait(NET)
        connection.close()

    thread = threading.Thread(target=lock)
    thread.start()
    assert locked.wait(NET)
    with transaction.atomic():
        get_database().limit_lock_waits(0.05)
        with pytest.raises(OperationalError) as refused, transaction.atomic():
            Session.objects.select_for_update().get(pk=session.pk)
    done.set()
    thread.join(NET)

    assert get_database().is_lock_timeout(refused.value)
    assert not get_database().is_outage(refused.value)
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_is_an_outage() -> None:
    with connection.cursor() as cursor, pytest.raises(OperationalError) as cut:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()

    assert get_database().is_outage(cut.value)

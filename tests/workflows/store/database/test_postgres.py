"""PostgreSQL keeps the contract; and has locks of rows, and connections that break."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection, transaction

from chatflow.workflows.models import Session
from chatflow.workflows.store.database import Fault, get_database
from chatflow.workflows.store.database.postgres import Postgres
from tests.workflows.chat import NET
from tests.workflows.store.database.contract import DatabaseContract

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

    assert get_database().fault(refused.value) is Fault.CONFLICT
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_is_an_outage() -> None:
    with connection.cursor() as cursor, pytest.raises(OperationalError) as cut:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()

    assert get_database().fault(cut.value) is Fault.AWAY


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("08006", Fault.AWAY),
        ("25006", Fault.AWAY),
        ("25P03", Fault.AWAY),
        ("25P04", Fault.AWAY),
        ("53100", Fault.AWAY),
        ("53300", Fault.AWAY),
        ("57P01", Fault.AWAY),
        ("57P03", Fault.AWAY),
        ("57P05", Fault.AWAY),
        ("58030", Fault.AWAY),
        ("40001", Fault.CONFLICT),
        ("40P01", Fault.CONFLICT),
        ("55P03", Fault.CONFLICT),
        ("57014", Fault.CONFLICT),
        ("53200", Fault.CONFLICT),
        ("22012", Fault.REFUSAL),
        ("23505", Fault.REFUSAL),
        ("42P01", Fault.REFUSAL),
        # A limit of the server's, and a file that a statement names.
        ("53400", Fault.REFUSAL),
        ("58P01", Fault.REFUSAL),
    ],
)
def test_what_the_server_raises_is_told_by_its_state(state: str, fault: Fault) -> None:
    """Not by the class of the exception: read-only is an InternalError, for example."""
    with (
        pytest.raises(DatabaseError) as raised,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")

    assert get_database().fault(raised.value) is fault


@pytest.mark.django_db(transaction=True)
def test_isolation_is_the_engines_whatever_the_server_says(alice: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'serializable'")
    try:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("read committed",)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE CURRENT_USER RESET default_transaction_isolation")


@pytest.mark.django_db(transaction=True)
def test_a_standby_takes_no_writes() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
        assert not get_database().takes_writes()

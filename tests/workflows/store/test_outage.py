"""Patience with the database: who tries again after what, and how often."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import ConnectionTimeout

from chatflow.workflows.store import outage
from chatflow.workflows.store.outage import (
    database_stayed,
    despite_conflicts,
    is_outage,
    is_passing,
    on_live_connection,
)
from tests.workflows.faults import make_outage, make_refusal

pytestmark = pytest.mark.django_db(transaction=True)

GONE = make_outage()


def failing(*errors: Exception) -> tuple[Callable[[], str], list[int]]:
    """Return a query that raises these, one after the other, and then returns; and its calls."""
    calls: list[int] = []

    def query() -> str:
        calls.append(1)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return "done"

    return query, calls


def test_what_passes() -> None:
    assert is_outage(make_outage())
    assert is_passing(make_outage())
    assert not is_passing(IntegrityError("it is there already"))
    assert not is_passing(OperationalError("nothing of the server's"))


@pytest.mark.postgresql
def test_a_conflict_passes_and_is_no_outage() -> None:
    assert is_passing(make_refusal("40P01"))
    assert not is_outage(make_refusal("40P01"))


# Despite conflicts.


@pytest.mark.postgresql
def test_conflicts_are_tried_again() -> None:
    query, calls = failing(make_refusal("40P01"), make_refusal("55P03"))

    assert despite_conflicts(query) == "done"
    assert len(calls) == 3


@pytest.mark.postgresql
def test_not_for_ever() -> None:
    query, calls = failing(*[make_refusal("40001")] * 99)

    with pytest.raises(DatabaseError):
        despite_conflicts(query)
    assert len(calls) == outage.TRIES


@pytest.mark.postgresql
def test_not_when_each_try_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PATIENCE", 0.0)
    query, calls = failing(*[make_refusal("57014")] * 99)

    with pytest.raises(DatabaseError):
        despite_conflicts(query)
    assert len(calls) == 1


@pytest.mark.parametrize("error", [GONE, IntegrityError("no"), ZeroDivisionError()])
def test_what_is_no_conflict_is_raised(error: Exception) -> None:
    query, calls = failing(error)

    with pytest.raises(type(error)):
        despite_conflicts(query)
    assert len(calls) == 1


@pytest.mark.postgresql
def test_inside_of_a_transaction_it_is_a_savepoint() -> None:
    tried: list[int] = []

    def query() -> None:
        tried.append(1)
        with transaction.atomic(), connection.cursor() as cursor:
            Group.objects.create(name="g")
            if len(tried) == 1:
                cursor.execute("SET LOCAL statement_timeout = 1")
                cursor.execute("SELECT pg_sleep(1)")

    with transaction.atomic():
        despite_conflicts(query)
    assert Group.objects.count() == 1


# On a live connection.


def count_in_transaction() -> int:
    with transaction.atomic():
        return Group.objects.count()


@pytest.mark.postgresql
@pytest.mark.parametrize("query", [Group.objects.count, count_in_transaction])
def test_a_connection_that_the_server_closed_while_it_idled(query: Callable[[], int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET idle_session_timeout = 1")
    time.sleep(0.2)

    assert on_live_connection(query) == 0


@pytest.mark.postgresql
def test_one_that_is_closed_again_is_an_outage() -> None:
    tried: list[int] = []

    def query() -> None:
        tried.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    connection.ensure_connection()
    with pytest.raises(OperationalError):
        on_live_connection(query)
    assert len(tried) == 2
    assert connection.connection is None


def test_a_query_that_fails_on_a_new_connection_is_not_repeated() -> None:
    connection.close()
    query, calls = failing(make_outage())

    with pytest.raises(OperationalError):
        on_live_connection(query)
    assert len(calls) == 1


def test_nor_is_one_whose_connection_lives() -> None:
    """A database that is locked, or read-only, is not called twice as often."""
    connection.ensure_connection()
    query, calls = failing(make_outage())

    with pytest.raises(OperationalError):
        on_live_connection(query)
    assert len(calls) == 1
    # The next one will find another server, if there is another by then.
    assert connection.connection is None


# Whether the database was there for others.


@pytest.mark.postgresql
def test_no_connection_to_be_had_is_nobodys_fault() -> None:
    later = timezone.now() + timedelta(hours=1)

    # By then even this connection is an old one.
    assert database_stayed(make_outage(), later)
    assert not database_stayed(make_refusal("53300"), later)
    assert not database_stayed(make_outage(), timezone.now() - timedelta(days=1000))


@pytest.mark.postgresql
def test_nor_is_one_that_the_server_refused() -> None:
    """The driver doesn't tell its state."""
    refused = connection.copy()
    refused.settings_dict["USER"] = "crowded"
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        with pytest.raises(OperationalError, match="too many connections") as error:
            refused.ensure_connection()
        cursor.execute("DROP ROLE crowded")

    assert is_outage(error.value)
    assert not database_stayed(error.value, timezone.now() + timedelta(hours=1))


@pytest.mark.postgresql
def test_nor_is_one_that_was_not_had_in_time() -> None:
    error = OperationalError("connection timeout expired")
    error.__cause__ = ConnectionTimeout("connection timeout expired")

    assert is_outage(error)
    assert not database_stayed(error, timezone.now() + timedelta(hours=1))


def test_a_database_that_does_not_answer_has_not_stayed() -> None:
    def refuse(*args: object) -> None:
        raise make_outage()

    with connection.execute_wrapper(refuse):
        assert not database_stayed(make_outage(), timezone.now() + timedelta(hours=1))

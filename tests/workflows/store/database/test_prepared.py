"""Statements that are parsed and planned once, and the plans that they get."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    connection,
    transaction,
)

from chatflow.workflows import Context, workflow
from chatflow.workflows.models import Session
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.database.prepared import OFF, SET, fetch, fetch_again
from tests.workflows.chat import ME, Chat, claimed, events, rolled_back

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

NEW_SESSION = """
    INSERT INTO workflows_session (user_id, key, created_at, updated_at)
    VALUES (%(user)s, %(key)s, now(), now()) RETURNING key
"""


def list_prepared() -> list[tuple[str, int, int]]:
    """Return the prepared statements of this connection, with their generic and custom plans."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
        return list(cursor.fetchall())


def get_setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


@pytest.fixture
def as_new(chat: Chat) -> None:
    """Let plans depend on no earlier test.

    What these deleted may stand in the indexes for a while, for a query that began before, and
    makes one of them higher, and so dearer, than another; and autovacuum counts now and then.
    """
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE workflows_job, workflows_session CASCADE")
        cursor.execute(
            "DELETE FROM pg_statistic"
            " WHERE starelid IN ('workflows_job'::regclass, 'workflows_session'::regclass)"
        )
    connection.close()


def test_it_works() -> None:
    assert fetch("SELECT %(word)s::text, 1", {"word": "é' %"}) == ("é' %", 1)
    assert fetch("SELECT 10 %% %(by)s::int", {"by": 4}) == (2,)
    assert fetch("SELECT 1 WHERE %(never)s", {"never": False}) is None
    assert fetch("SELECT 1", {}) == (1,)


@pytest.mark.usefixtures("as_new")
def test_it_is_planned_a_few_times_only(chat: Chat) -> None:
    for _ in range(9):
        chat.send()
        job = lifecycle.claim((), ME, is_async=True)
        assert job is not None
        job.delete()

    claims = [plans for text, *plans in list_prepared() if "SET state = 'processing'" in text]
    assert claims == [[4, 5]]


def test_again_and_again(alice: User, django_assert_num_queries: Any) -> None:
    """It does what fetch() does, without Django's knowledge but for the first time."""
    word, never = "SELECT %(word)s::text, %(n)s::int + 1", "SELECT 1 WHERE %(never)s"
    for _ in range(8):
        assert fetch_again(word, {"word": "é' %;", "n": 41}) == ("é' %;", 42)
        assert fetch_again(never, {"never": False}) is None
    with django_assert_num_queries(0):
        assert fetch_again(word, {"word": "other", "n": 0}) == ("other", 1)
    # They are equal in Python, but not the same in SQL.
    same = "SELECT %(value)s::text"
    assert [fetch_again(same, {"value": value}) for value in (1, 1, True)] == [
        ("1",), ("1",), ("true",)
    ]  # fmt: skip
    # Values of Django's own columns come as Django would read them.
    mine = "SELECT id, date_joined, '[1]'::jsonb FROM auth_user WHERE id = %(id)s"
    for _ in range(2):
        assert fetch_again(mine, {"id": alice.pk}) == (alice.pk, alice.date_joined, "[1]")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_moments_in_the_zone_of_the_database(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``TIME_ZONE`` of ``DATABASES`` has it."""
    monkeypatch.setattr(connection, "timezone", ZoneInfo(zone))
    monkeypatch.setattr(connection, "timezone_name", zone)
    connection.close()
    moment = datetime(2026, 7, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    for _ in range(2):
        assert fetch_again("SELECT %(moment)s::timestamptz", {"moment": moment}) == (moment,)
    connection.close()


def test_what_is_done_first() -> None:
    for times in (1, 2):
        for _ in range(times):
            fetch_again("SELECT 1", {})
        fetch_again("SELECT 1", {}, first="SET application_name = 'first'")
        assert get_setting("application_name") == "first"
        assert get_setting("enable_seqscan") == "on"
        connection.close()


def test_what_is_done_first_is_done_where_it_fails(alice: User) -> None:
    new = {"user": alice.pk, "key": "s"}
    fetch_again(NEW_SESSION, new)
    with pytest.raises(IntegrityError):
        fetch_again(NEW_SESSION, new, first="SET application_name = 'first'")
    assert get_setting("application_name") == "first"
    connection.close()


def test_what_fails_again_says_why(alice: User) -> None:
    new = {"user": alice.pk, "key": "s"}
    assert fetch_again(NEW_SESSION, new) == ("s",)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            fetch_again(NEW_SESSION, new)
    # It has left nothing behind, and joins a transaction as well.
    with rolled_back():
        assert fetch_again(NEW_SESSION, new | {"key": "t"}) == ("t",)
    assert Session.objects.count() == 1


def test_what_has_gone_stale_is_mended() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE moving AS SELECT 1 AS value")
        for change, found in (
            ("SELECT 1", (1,)),
            ("ALTER TABLE moving ALTER value TYPE text", ("1",)),
            ("DEALLOCATE ALL", ("1",)),
        ):
            cursor.execute(change)
            assert fetch_again("SELECT * FROM moving", {}) == found


@pytest.mark.parametrize("then", [None, "NOTIFY chatflow_jobs, '1'"])
def test_what_fails_leaves_nothing_behind(alice: User, then: str | None) -> None:
    new = {"user": alice.pk, "key": "s"}
    assert fetch(NEW_SESSION, new, then=then) == ("s",)
    with pytest.raises(IntegrityError):
        fetch(NEW_SESSION, new, then=then)

    # The connection can be used, and is not in a transaction.
    assert fetch(NEW_SESSION, new | {"key": "t"}, then=then) == ("t",)
    connection.close()
    assert Session.objects.count() == 2
    assert get_setting("enable_seqscan") == "on"


def test_it_joins_a_transaction(alice: User) -> None:
    with rolled_back():
        fetch(NEW_SESSION, {"user": alice.pk, "key": "s"}, then="NOTIFY chatflow_jobs, '1'")
        assert Session.objects.count() == 1
        # The next statements of the transaction are planned as ever.
        assert {get_setting(name) for name in OFF} == {"on"}

    assert not Session.objects.exists()


def test_what_fails_leaves_its_transaction_usable(alice: User) -> None:
    new = {"user": alice.pk, "key": "s"}
    with transaction.atomic():
        fetch(NEW_SESSION, new)
        with pytest.raises(IntegrityError):
            fetch(NEW_SESSION, new)
        assert get_setting("enable_seqscan") == "on"
        fetch(NEW_SESSION, new | {"key": "t"})

    assert Session.objects.count() == 2


def test_what_follows_is_a_transaction_of_its_own() -> None:
    own = "SELECT pg_current_xact_id()"
    mine = fetch(own, {}, then="CREATE TEMP TABLE later AS SELECT pg_current_xact_id() AS id")
    assert mine is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM later")
        assert cursor.fetchone() != mine


def test_a_connection_that_is_gone(chat: Chat) -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor, pytest.raises(OperationalError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(OperationalError):
        fetch("SELECT 1", {}, then="NOTIFY chatflow_jobs, '1'")
    connection.close()

    # A new one learns the statement anew.
    assert fetch("SELECT 1", {}) == (1,)


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_statement_that_has_gone_stale(in_transaction: bool) -> None:
    """A migration has changed a column that it returns, or somebody ran DISCARD ALL."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE changing AS SELECT 1 AS value")
    every = "SELECT * FROM changing"
    assert fetch(every, {}) == (1,)
    with transaction.atomic() if in_transaction else nullcontext():
        for change, found in (
            ("ALTER TABLE changing ALTER value TYPE text", ("1",)),
            ("DEALLOCATE ALL", ("1",)),
        ):
            with connection.cursor() as cursor:
                cursor.execute(change)
            assert fetch(every, {}, then="NOTIFY chatflow_jobs, '1'") == found


def test_what_could_not_be_sent_leaves_its_transaction_usable(alice: User) -> None:
    with transaction.atomic():
        with pytest.raises(DataError):
            fetch(NEW_SESSION, {"user": alice.pk, "key": "a\0b"})
        fetch(NEW_SESSION, {"user": alice.pk, "key": "s"})

    assert Session.objects.count() == 1


def test_a_project_that_binds_on_the_server(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes no parameters for a message of several statements."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", True)
    connection.close()

    def work(ctx: Context) -> str:
        ctx.progress(50, "100 % é")
        return "Done."

    try:
        job = chat.begin(work)
        assert get_database().fetch_unsynced("SELECT %(n)s::int", {"n": 1}) == (1,)
    finally:
        connection.close()

    job.refresh_from_db()
    assert (job.state, job.progress_message) == ("completed", "Completed")
    assert "100 % é" in [event.message for event in events(job)]


@pytest.mark.parametrize("binds_on_server", [False, True])
def test_nobodys_words_are_part_of_the_sql(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, binds_on_server: bool
) -> None:
    """A project may have its SQL traced. Nor is it another one for each job, to be read anew."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", binds_on_server)
    connection.close()
    told: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        told.append(sql)
        return execute(sql, *args)

    @workflow("w")
    def work(ctx: Context) -> str:
        ctx.progress(50, "secret")
        return "secret"

    try:
        with connection.execute_wrapper(note):
            for _ in range(2):
                chat.say("secret", workflow="w")
    finally:
        connection.close()

    assert not [sql for sql in told if "secret" in sql]
    messages = [sql for sql in told if "NOTIFY" in sql]
    assert len(messages) == 2 * len(set(messages)) >= 6


def test_a_ring_that_fails_leaves_the_transaction_usable(alice: User) -> None:
    with rolled_back():
        with pytest.raises(DatabaseError, match="nope"):
            fetch(NEW_SESSION, {"user": alice.pk, "key": "s"}, then="SELECT nope")
        assert not Session.objects.exists()


def test_a_transaction_by_hand(alice: User) -> None:
    transaction.set_autocommit(False)
    try:
        fetch(NEW_SESSION, {"user": alice.pk, "key": "s"}, then="NOTIFY chatflow_jobs, '1'")
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)

    assert not Session.objects.exists()


def test_a_claimed_job_is_its_row(chat: Chat, alice: User) -> None:
    job = chat.send(options={"actions": False, "é": [1, None]})

    taken = claimed()
    assert taken.options == {"actions": False, "é": [1, None]}
    assert (taken.awaiting, taken.user, taken.session) == (None, alice, job.session)
    assert [event.attempt for event in events(job)] == [1]
    # It is a row of the database: to save it is to change it.
    taken.text = "changed"
    taken.save(update_fields=["text"])
    job.refresh_from_db()
    assert job.text == "changed"


@pytest.mark.usefixtures("as_new")
def test_no_plan_reads_a_table_from_end_to_end_or_is_compiled(chat: Chat) -> None:
    """Neither for an empty table nor for one that has grown since, which nothing announces."""
    for _ in range(9):
        job = chat.say("hello")
        assert job.state == "completed"
    plans: dict[str, str] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements"
            " WHERE statement LIKE '%workflows_job%'"
        )
        for name, statement, count in cursor.fetchall():
            nothing = ", ".join(["NULL"] * count)
            cursor.execute("BEGIN")
            # As if each were estimated to cost as much as a claim in a large table.
            cursor.execute("DISCARD PLANS")
            cursor.execute("SET LOCAL jit_above_cost = 0")
            for change in SET:
                cursor.execute(change)
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            cursor.execute(f"EXPLAIN EXECUTE {name} ({nothing})")
            plans[statement] = "\n".join(row[0] for row in cursor.fetchall())
            cursor.execute("ROLLBACK")
    connection.close()

    # To store, to claim, to end.
    assert len(plans) >= 3
    for statement, plan in plans.items():
        assert "Seq Scan" not in plan, (statement, plan)
        assert "Bitmap" not in plan, (statement, plan)
        assert "Sort" not in plan, (statement, plan)
        assert "JIT" not in plan, (statement, plan)

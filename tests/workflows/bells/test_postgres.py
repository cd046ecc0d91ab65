import threading
import time
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection

from chatflow.workflows.bells import Bell, Ear, Subscription, get_bell
from chatflow.workflows.bells.base import readable
from chatflow.workflows.bells.postgres import PostgresBell
from tests.workflows.bells.contract import NET, BellContract, Heard, Listen, commit

pytestmark = pytest.mark.postgresql


class TestPostgresBell(BellContract):
    @pytest.fixture
    def bell(self) -> Bell:
        return get_bell()

    def break_listening(self, subscription: Subscription) -> None:
        """Terminate the backends that have nothing but listened."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                  AND query LIKE 'LISTEN%%'
                """
            )
            assert cursor.rowcount > 0

    def test_it_is_the_bell_of_this_database(self) -> None:
        assert isinstance(get_bell(), PostgresBell)

    def test_a_ring_as_part_of_a_statement(self, bell: Bell, listen: Listen) -> None:
        heard: Heard = listen()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {bell.expression('events', '40 + %s')}", [2])

        assert heard.until("events", 42)[-1] == ("events", 42)

    def test_a_ring_behind_a_commit(self, bell: Bell, listen: Listen) -> None:
        heard: Heard = listen()
        with connection.cursor() as cursor:
            cursor.execute(*bell.statements(("events", 43), ("jobs", 1)))  # type: ignore[arg-type]

        assert heard.until("events", 43)[-1] == ("events", 43)

    def test_it_may_idle(self, bell: Bell, subscriptions: list[Subscription]) -> None:
        """Whatever a DBA thinks of idle sessions: else it would be deaf again and again."""
        heard = Heard()
        subscription = bell.subscription(("events",), heard)
        subscription._params["options"] = "-c idle_session_timeout=20"  # type: ignore[attr-defined]
        subscriptions.append(subscription)
        subscription.start()
        assert subscription.ready.wait(NET)
        heard.forget()
        time.sleep(0.3)
        commit(bell, "events", 42)

        assert heard.until("events", 42) == [("events", 42)]

    def test_one_connection_for_all_topics(self, listen: Listen) -> None:
        with connection.cursor() as cursor:
            count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            cursor.execute(count)
            before = cursor.fetchone()
            listen()
            cursor.execute(count)
            after = cursor.fetchone()

        assert after[0] == before[0] + 1


# An ear, on this thread's own connection.


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = get_bell().ear(("jobs", "due"))
    assert made is not None
    yield made
    connection.close()


def ring(topic: str, key: int) -> None:
    """Ring on another connection, and wait until that is done."""

    def do() -> None:
        commit(get_bell(), topic, key)
        connection.close()

    thread = threading.Thread(target=do)
    thread.start()
    thread.join(NET)


def tell(statement: str | None) -> None:
    assert statement
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_an_ear_hears(ear: Ear) -> None:
    assert ear.listen()
    assert not ear.listen()
    for topic, key in (("jobs", 1), ("events", 2), ("due", 3)):
        ring(topic, key)
    heard: list[str] = []
    while len(heard) < 2:
        assert readable([ear.fileno()], NET)
        heard += ear.hear()

    assert heard == ["jobs", "due"]
    assert ear.hear() == []


@pytest.mark.django_db(transaction=True)
def test_an_ear_hears_what_comes_beside_an_answer(ear: Ear) -> None:
    ear.listen()
    ring("jobs", 1)
    tell("SELECT 1")

    assert ear.hear() == ["jobs"]


@pytest.mark.django_db(transaction=True)
def test_an_ear_is_not_the_only_one_on_its_connection(ear: Ear) -> None:
    """A workflow may listen for something of its own."""
    ear.listen()
    tell("LISTEN other")
    tell("NOTIFY other")
    # By hand, without a key.
    tell("NOTIFY chatflow_jobs")
    assert ear.hear() == ["jobs"]
    tell(ear.unlisten())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_listening_channels()")
        assert cursor.fetchall() == [("other",)]

    assert ear.hear() == []


@pytest.mark.django_db(transaction=True)
def test_an_ear_that_listens_no_more(ear: Ear) -> None:
    assert ear.unlisten() is None
    ear.listen()
    tell(ear.unlisten())
    assert ear.unlisten() is None
    ring("jobs", 1)
    tell("SELECT 1")

    assert ear.hear() == []
    assert ear.listen()


@pytest.mark.django_db(transaction=True)
def test_an_ear_whose_connection_is_lost(ear: Ear) -> None:
    ear.listen()
    with connection.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(DatabaseError):
        ear.hear()
    connection.close()

    # A new one has to be listened to anew.
    assert ear.unlisten() is None
    assert ear.hear() == []
    assert ear.listen()
    ring("jobs", 1)
    assert readable([ear.fileno()], NET)
    assert ear.hear() == ["jobs"]

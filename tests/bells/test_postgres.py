import pytest
from django.db import connection

from tests.bells.contract import BellContract, Heard, Listen
from workflows.bells import Bell, Subscription, get_bell
from workflows.bells.postgres import PostgresBell

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
            cursor.execute(bell.statement("events", 43) or "")

        assert heard.until("events", 43)[-1] == ("events", 43)

    def test_one_connection_for_all_topics(self, listen: Listen) -> None:
        with connection.cursor() as cursor:
            count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            cursor.execute(count)
            before = cursor.fetchone()
            listen()
            cursor.execute(count)
            after = cursor.fetchone()

        assert after[0] == before[0] + 1

"""Statements that are prepared, and planned for the queue as it is."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tests.workflows.chat import Chat, claimed, events
from workflows.models import Job
from workflows.prepared import fetch

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def prepared() -> list[tuple[str, int, int]]:
    """Return the prepared statements of this connection, with their generic and custom plans."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
        return list(cursor.fetchall())


def test_it_works() -> None:
    assert fetch("SELECT %(word)s::text AS word, 1 AS one", {"word": "é' %"}) == {
        "word": "é' %",
        "one": 1,
    }
    assert fetch("SELECT 1 AS one WHERE %(never)s", {"never": False}) is None


def test_it_is_parsed_once_and_planned_each_time(chat: Chat) -> None:
    """PostgreSQL would make one plan for all, from the sixth time on: that of an empty queue."""
    connection.close()
    for _ in range(8):
        chat.send()
        Job.objects.filter(pk=claimed().pk).delete()

    claims = [plans for text, *plans in prepared() if "SET state = 'processing'" in text]
    assert claims == [[0, 8]]


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

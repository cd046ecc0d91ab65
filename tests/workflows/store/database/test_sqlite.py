"""SQLite keeps the contract."""

import sqlite3

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from tests.workflows.store.database.contract import DatabaseContract
from workflows.models import Session
from workflows.store.database import Fault, get_database
from workflows.store.database.sqlite import SQLite

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]


class TestSQLite(DatabaseContract):
    kind = SQLite


@pytest.mark.django_db(transaction=True)
def test_a_locked_database_is_an_outage(alice: User) -> None:
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 10")
    try:
        with pytest.raises(OperationalError) as locked:
            Session.objects.create(user=alice, key="s")
    finally:
        other.close()
        connection.close()

    assert get_database().fault(locked.value) is Fault.AWAY


def test_a_statement_that_is_wrong_is_none() -> None:
    with pytest.raises(OperationalError) as wrong, connection.cursor() as cursor:
        cursor.execute("SELECT nothing")

    assert get_database().fault(wrong.value) is Fault.REFUSAL

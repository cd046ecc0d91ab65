"""SQLite keeps the contract."""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection

from chatflow.workflows.models import Session
from chatflow.workflows.store.database import Fault, get_database
from chatflow.workflows.store.database.sqlite import SQLite
from chatflow.workflows.store.outage import on_live_connection
from tests.workflows.chat import Chat
from tests.workflows.faults import make_locked
from tests.workflows.store.database.contract import DatabaseContract

# Without what SQLite makes by itself, with autoincrement and beside the index of words.
SCHEMA = """
    SELECT sql FROM sqlite_master WHERE sql IS NOT NULL
    AND tbl_name <> 'sqlite_sequence' AND tbl_name NOT LIKE 'knowledge_chunk_text_%'
"""
PARAMETER = re.compile(r"%s|%\(\w+\)s")

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


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (sqlite3.SQLITE_BUSY, Fault.AWAY),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Fault.AWAY),
        (sqlite3.SQLITE_LOCKED, Fault.AWAY),
        (sqlite3.SQLITE_FULL, Fault.AWAY),
        (sqlite3.SQLITE_READONLY_DBMOVED, Fault.AWAY),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, Fault.AWAY),
        (sqlite3.SQLITE_IOERR_WRITE, Fault.AWAY),
        (sqlite3.SQLITE_PERM, Fault.AWAY),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Fault.REFUSAL),
        (sqlite3.SQLITE_ERROR, Fault.REFUSAL),
        (sqlite3.SQLITE_TOOBIG, Fault.REFUSAL),
    ],
)
def test_what_it_raises_is_told_by_its_code(code: int, fault: Fault) -> None:
    assert get_database().fault(make_locked(code)) is fault


# The file.


@pytest.fixture
def path(tmp_path: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work on a file of this test's own, which may be moved."""
    path = tmp_path / "db.sqlite3"
    copy_to(path)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(path))
    connection.close()
    yield path
    connection.close()


def copy_to(path: Path) -> None:
    """Copy the tables of the test's database, which are empty."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(connection.settings_dict["NAME"], path)


def replace(path: Path, new: Path) -> None:
    """Put *new* in the place of the database, whose log it would inherit if that weren't empty."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(new, path)


def test_a_missing_folder_is_an_outage(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))

    with pytest.raises(OperationalError) as missing:
        Session.objects.count()
    assert get_database().fault(missing.value) is Fault.AWAY


def test_a_missing_file_is_not_read_only(path: Path) -> None:
    """It is made by the first migration, which a probe can name then."""
    path.unlink()

    assert get_database().takes_writes()


def test_a_file_that_was_replaced_is_left(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy_to(new := path.with_name("new"))
    Group.objects.create(name="old")
    replace(path, new)

    assert Group.objects.count() == 1
    get_database().leave_replaced()
    assert Group.objects.count() == 0
    assert f"{path} was replaced" in caplog.text


def test_a_link_that_leads_elsewhere_now(path: Path) -> None:
    copy_to(path.with_name("first"))
    copy_to(path.with_name("second"))
    connection.close()
    path.unlink()
    path.symlink_to("first")
    Group.objects.create(name="first")
    path.unlink()
    path.symlink_to("second")

    get_database().leave_replaced()
    assert Group.objects.count() == 0


def test_a_file_that_was_moved_away_is_kept(path: Path) -> None:
    """Another one would be empty; perhaps it comes back."""
    Group.objects.create(name="g")
    path.rename(path.with_name("elsewhere"))

    get_database().leave_replaced()
    assert Group.objects.count() == 1


def test_each_reader_of_the_streams_finds_the_new_file(path: Path) -> None:
    copy_to(new := path.with_name("new"))
    Group.objects.create(name="old")
    replace(path, new)

    assert on_live_connection(Group.objects.count) == 0


def test_the_newest_version_plans_what_this_one_does(chat: Chat) -> None:
    """SQLite 3.46.1 refused every claim; what a system brings along is rarely the newest."""
    statements: set[str] = set()

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.add(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        chat.begin(lambda ctx: ctx.step("s", lambda: None))
        with connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            schema = [sql for (sql,) in cursor.fetchall()]
    newest = apsw.Connection(":memory:")
    for sql in schema:
        newest.execute(sql)
    of_jobs = [sql for sql in statements if "workflows_job" in sql]

    assert len(of_jobs) > 10
    for sql in of_jobs:
        newest.execute("EXPLAIN " + PARAMETER.sub("NULL", sql).replace("%%", "%"))

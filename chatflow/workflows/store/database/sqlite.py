"""SQLite: a file. One connection writes at a time, so nothing comes between two statements."""

import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from chatflow.workflows.bells.sqlite import FileId, identify
from chatflow.workflows.db import alias, atomic, connection
from chatflow.workflows.store.database.base import (
    Database,
    Fault,
    JobCursor,
    JointWrite,
    Row,
    Write,
)

# Primary result codes (sqlite.org/rescode.html) that have to do with the file and not with the
# statement: no permission, busy, locked, out of memory, read-only, an I/O error, a full disk, a
# file that can't be opened, a lock that can't be had.
AWAY = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
)
# Those that may be about another file than Chatflow's, which a workflow has named.
OF_A_FILE = (sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)

logger = logging.getLogger(__name__)

GIVEN = """
    WITH given AS (
        SELECT json_extract(value, '$.job') AS job, json_extract(value, '$.attempt') AS attempt,
            json_extract(value, '$.data') AS data
        FROM json_each(%(given)s)
    )
"""
HELD = "(id, attempt) IN (SELECT job, attempt FROM given) AND state = 'processing'"

# One writes at a time, so a number past the latest will do. It is no lower than the clock, as the
# latest may be deleted.
MILLISECONDS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
LATEST = """
    max(
        coalesce((SELECT max(changed) FROM workflows_session mine WHERE mine.user_id = {user}), 0),
        coalesce(
            (SELECT max(changed) FROM workflows_deletedsession mine WHERE mine.user_id = {user}), 0
        )
    )
"""

# A column that is false, but not the beginning of a comparison. No condition has a NOT IN.
NEGATED = re.compile(r"\bNOT (\w+)\b(?! =)")

# The file that each of Django's connections has opened.
_opened: WeakKeyDictionary[BaseDatabaseWrapper, FileId] = WeakKeyDictionary()


class SQLite(Database):
    true, false = "1", "0"
    greatest = "max"
    skip_locked = ""
    locks_rows = False
    has_row_versions = False
    session_touched = "0"

    def now(self, offset: float = 0) -> str:
        # Its clock has milliseconds, Python's has more: a moment that was just made there would lie
        # ahead of this one, if that were cut off. So it is the last moment of its millisecond.
        return f"(strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{offset:+f} seconds') || '999')"

    def changed(self, user: str) -> str:
        return f"max({MILLISECONDS}, 1 + ({LATEST.format(user=user)}))"

    def certain(self, user: str) -> str:
        return f"SELECT ({LATEST.format(user=user)}), {2**62}"

    def read_clock(self, connection: BaseDatabaseWrapper) -> None:
        """Read nothing: the file is on this host."""

    def seconds_since(self, column: str, upto: str = "") -> str:
        end = f"min({self.now()}, coalesce({upto}, {self.now()}))" if upto else self.now()
        return f"((julianday({end}) - julianday({column})) * 86400.0)"

    def indexed(self, condition: str, value: bool) -> str:
        # An index's condition is looked for word by word. Since Django 6.1 it has comparisons.
        number = self.true if value else self.false
        compared = NEGATED.sub(rf"\1 = {self.false}", condition)
        return f"{super().indexed(condition, value)} AND {compared} = {number}"

    def by(self, index: str) -> str:
        return f"INDEXED BY {index}"

    def json(self, name: str) -> str:
        return f"%({name})s"

    def json_with(self, data: str, key: str, column: str) -> str:
        return f"json_patch({data}, json_object('{key}', json({column})))"

    def number(self, column: str, key: str) -> str:
        return f"json_extract({column}, '$.{key}')"

    def places(self, places: Iterable[JobCursor]) -> tuple[str, dict[str, str]]:
        pair = "json_extract(value, '$[0]'), json_extract(value, '$[1]')"
        return f"SELECT {pair} FROM json_each(%(places)s)", {"places": json.dumps(list(places))}

    def fetch_all(self, sql: str, params: dict[str, Any], *, then: str | None = None) -> list[Row]:
        with connection.cursor() as cursor:
            return cast(list[Row], cursor.execute(sql, params).fetchall())

    def write(self, write: Write, params: dict[str, Any], *, then: str | None = None) -> Row | None:
        with atomic(), connection.cursor() as cursor:
            cursor.execute(f"{write.update} WHERE {write.where} RETURNING id", params)
            updated = cursor.fetchone()
            if updated is None:
                return None
            params = {**params, "id": updated[0]}
            job = "WITH job AS (SELECT * FROM workflows_job WHERE id = %(id)s)"
            for insert in write.inserts:
                cursor.execute(f"{job} {insert}", params)
            cursor.execute(f"{job} SELECT {write.select} FROM job", params)
            return cast(Row, cursor.fetchone())

    def write_jointly(
        self, write: JointWrite, params: dict[str, Any], *, then: str | None = None
    ) -> list[Row]:
        job = f"job AS (SELECT * FROM workflows_job WHERE {HELD})"
        with atomic(), connection.cursor() as cursor:
            update = f"{GIVEN} {write.update} WHERE {HELD} RETURNING id, last_seq"
            held = cast(list[Row], cursor.execute(update, params).fetchall())
            cursor.execute(f"{GIVEN}, {job} {write.insert}", params)
            return held

    def limit_lock_waits(self, seconds: float) -> None:
        """Do nothing: no row is locked, and the whole database never for long."""

    def fault(self, error: BaseException) -> Fault:
        if not isinstance(error, DatabaseError):
            return Fault.REFUSAL
        return Fault.AWAY if _get_code(error) in AWAY else Fault.REFUSAL

    def refuses_writes(self, error: BaseException) -> bool:
        return _get_code(error) == sqlite3.SQLITE_READONLY

    def takes_writes(self) -> bool:
        path = _get_path()
        return not path.exists() or os.access(path, os.W_OK)

    def stayed(self, error: BaseException, since: datetime) -> bool:
        """Say yes where the failure is about a file, and Chatflow's own can be written.

        A lock, a full disk or a broken one may stop all connections, not just this one.
        """
        if _get_code(error) not in OF_A_FILE:
            return False
        # IMMEDIATE, as settings.py has it: it takes the lock for writing.
        with atomic():
            return True

    def leave_replaced(self) -> None:
        """Close this thread's connection if another file has taken the place of its own.

        It would go on with the old one, whose rows nobody else sees, and never notice.
        """
        own = connections[alias()]
        opened, present = _opened.get(own), identify(_get_path())
        if own.connection is not None and opened and present and opened != present:
            logger.warning("%s was replaced; opening the new file.", _get_path().resolve())
            own.close()

    def prepare(self, connection: BaseDatabaseWrapper) -> None:
        found = identify(_get_path())
        if found is not None:
            _opened[connection] = found


def _get_path() -> Path:
    """Return the database's path as it is configured; it may be a link."""
    return Path(connection.settings_dict["NAME"])


def _get_code(error: BaseException) -> int | None:
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    # Extended codes have the primary one in their lowest byte.
    return None if code is None else code & 0xFF

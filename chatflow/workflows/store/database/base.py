"""The operations in which the databases differ.

All other SQL of the engine is the same everywhere. Its parameters are written ``%(name)s``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, cast

from django.db.backends.base.base import BaseDatabaseWrapper

from chatflow.workflows.db import connection

Row = tuple[Any, ...]
# A job's primary key, and the last ``seq`` that a reader has of it.
JobCursor = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Write:
    """An update of a job's row and the inserts that go with it. It is made once, for all jobs.

    Args:
        update: an ``UPDATE … SET …`` of the job's row.
        where: the condition for the row.
        inserts: further statements. Each reads the updated row, under the name ``job``.
        select: the expressions to return, over ``job``.
        locks_session: lock the job's session before the job, and let *select* use
            Database.session_touched. Its parameter is ``session``.
    """

    update: str
    where: str
    inserts: tuple[str, ...]
    select: str
    locks_session: bool = False


@dataclass(frozen=True, eq=False)
class JointWrite:
    """An update of many jobs' rows and an insert that goes with it.

    Its parameter ``given`` is JSON: a list of objects with ``job``, ``attempt`` and ``data``. They
    are rows of a table ``given``.

    Args:
        update: an ``UPDATE … SET …`` of the rows of those jobs that the attempts hold.
        insert: reads the updated rows, under the name ``job``, and ``given``.
    """

    update: str
    insert: str


class Fault(Enum):
    """Why a statement failed, by the database's own code: the exception's class says too little."""

    # The database can't be reached, or takes no writes just now: an outage, to be waited out.
    AWAY = "away"
    # The statement got in the way of another one, or took too long, and was undone: the same
    # statement may succeed the next time.
    CONFLICT = "conflict"
    # Everything else, such as a broken constraint: the same statement would fail again.
    REFUSAL = "refusal"


class Database(ABC):
    """One kind of database. Subclasses pass ``tests/workflows/store/database/contract.py``."""

    # The truth values.
    true: str
    false: str
    # The function that returns the largest of its arguments.
    greatest: str
    # The end of a SELECT that locks its rows and leaves out those that others have locked.
    skip_locked: str
    # Rows are locked one by one. Else a writer has the whole database to itself meanwhile.
    locks_rows: bool
    # A row names the transaction that wrote it. So a statement can find out that somebody else
    # wrote the row between its snapshot and its lock.
    has_row_versions: bool
    # A condition for a Write that locks the session: somebody has touched the session between the
    # statement's snapshot and its lock.
    session_touched: str

    @abstractmethod
    def now(self, offset: float = 0) -> str:
        """Return the SQL for the database's present moment.

        Leases and delays go by it: they must not depend on the clocks of the hosts.

        Args:
            offset: seconds to add.
        """

    @abstractmethod
    def changed(self, user: str) -> str:
        """Return the SQL for the number of a change to one of a user's sessions.

        It is greater than that of every change to the user's sessions that is certain().

        Args:
            user: the SQL expression of the user's primary key.
        """

    @abstractmethod
    def certain(self, user: str) -> str:
        """Return a query for the numbers of changes as they are just now.

        Its row has the last number up to which all changes are committed or undone, and one that
        is greater than any that is committed.

        Args:
            user: as in changed().
        """

    @abstractmethod
    def read_clock(self, connection: BaseDatabaseWrapper) -> datetime | None:
        """Return the database's present moment; None where its clock is this host's own."""

    @abstractmethod
    def seconds_since(self, column: str, upto: str = "") -> str:
        """Return the SQL for the seconds from a moment until now().

        Args:
            column: where the moment stands.
            upto: a column with a moment at which they end if it has come; may be null.
        """

    def indexed(self, condition: str, value: bool) -> str:
        """Return the SQL for a truth value, such that it finds the indexes that are limited by it.

        Args:
            condition: a column, or an expression.
            value: what it has to be.
        """
        return condition if value else f"NOT {condition}"

    def by(self, index: str) -> str:
        """Return the SQL, behind a table, for the index to search it by; empty if it knows best."""
        return ""

    @abstractmethod
    def json(self, name: str) -> str:
        """Return the SQL for the parameter *name*, whose value is JSON's text."""

    @abstractmethod
    def json_with(self, data: str, key: str, column: str) -> str:
        """Return the SQL for the JSON object *data* with one more key, whose value is *column*."""

    @abstractmethod
    def number(self, column: str, key: str) -> str:
        """Return the SQL for a number in a column of JSON; null where there is no such key."""

    @abstractmethod
    def places(self, places: Iterable[JobCursor]) -> tuple[str, dict[str, str]]:
        """Return a query for the places, as rows of two columns, and its parameters.

        The number of parameters is small and doesn't depend on the number of places.
        """

    @abstractmethod
    def fetch_all(self, sql: str, params: dict[str, Any], *, then: str | None = None) -> list[Row]:
        """Return the rows of a statement that is run often.

        Args:
            sql: always the same text, or one of a few.
            params: its parameters, and those of *then*.
            then: SQL to run once it is committed; only Bell.statements().
        """

    def fetch(self, sql: str, params: dict[str, Any], *, then: str | None = None) -> Row | None:
        """Return the first row of a statement; None if there is none. See fetch_all()."""
        rows = self.fetch_all(sql, params, then=then)
        return rows[0] if rows else None

    def fetch_unsynced(self, sql: str, params: dict[str, Any]) -> Row | None:
        """Run a small statement that writes, and return its first row, if any.

        Where the caller has no transaction, a crash of the database's server may lose the write: it
        isn't waited for until it is safe on disk.
        """
        with connection.cursor() as cursor:
            rows = cursor.execute(sql, params).fetchall()
        return cast(Row, rows[0]) if rows else None

    @abstractmethod
    def write(self, write: Write, params: dict[str, Any], *, then: str | None = None) -> Row | None:
        """Write, all or nothing.

        Args:
            write: the update and its inserts.
            params: the parameters of all its statements, and of *then*.
            then: as in fetch_all().

        Returns:
            The row that it selects; None, with nothing written, if no row was updated.
        """

    def write_again(
        self, write: Write, params: dict[str, Any], *, first: str | None = None
    ) -> Row | None:
        """Do what write() does, with parameters that are always the same, or one of a few.

        Args:
            write: as in write(); params likewise.
            first: SQL to run before, and in any case; only an Ear.unlisten().
        """
        if first is not None:
            with connection.cursor() as cursor:
                cursor.execute(first)
        return self.write(write, params)

    @abstractmethod
    def write_jointly(
        self, write: JointWrite, params: dict[str, Any], *, then: str | None = None
    ) -> list[Row]:
        """Write for many jobs at once; those that others have locked, or taken, are left out.

        Args:
            write: the update and its insert.
            params: the parameters of both, and of *then*.
            then: as in fetch_all().

        Returns:
            The keys of the updated jobs, and their latest ``seq``.
        """

    @abstractmethod
    def limit_lock_waits(self, seconds: float) -> None:
        """Let the current transaction wait no longer than this for a row that is locked."""

    @abstractmethod
    def fault(self, error: BaseException) -> Fault:
        """Say why a query failed.

        Errors that Django itself raises, for a protected row or for a query in a transaction that
        is spoiled, and errors that are not the database's at all, are refusals.
        """

    @abstractmethod
    def refuses_writes(self, error: BaseException) -> bool:
        """Say whether a query failed because nothing can be written just now, only read."""

    @abstractmethod
    def takes_writes(self) -> bool:
        """Say whether the database can be written to just now; a standby, for one, only read."""

    @abstractmethod
    def stayed(self, error: BaseException, since: datetime) -> bool:
        """Say whether the database was there for others all the while, though *error* is AWAY.

        Then it was the query itself that broke its connection, or idled in a transaction until the
        server had enough of it.

        Args:
            error: a query's.
            since: a moment before that query.
        """

    def leave_replaced(self) -> None:  # noqa: B027
        """Close this thread's connection if its database has been replaced by another."""

    def prepare(self, connection: BaseDatabaseWrapper) -> None:  # noqa: B027
        """Set on a new connection the defaults that the engine relies on, whatever the server's."""

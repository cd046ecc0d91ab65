"""The database: which one it is, whether it can be written, and what its owner has set."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import Error as DatabaseError

from chatflow.doctor.findings import Finding, Visit, note, ok, problem
from chatflow.endpoints.probes import migrated
from chatflow.workflows import clock
from chatflow.workflows.db import alias, connection, migrating
from chatflow.workflows.exceptions import first_line
from chatflow.workflows.services import outages

OLDEST_POSTGRESQL = 14
OLDEST_SQLITE = (3, 37, 0)
# What PostgreSQL's owner may have set, and the milliseconds below which it hurts.
TIMEOUTS = {
    "statement_timeout": 10_000,
    "lock_timeout": 2_000,
    "transaction_timeout": 30_000,
    "idle_in_transaction_session_timeout": 10_000,
    "idle_session_timeout": 60_000,
}
# File systems whose locks SQLite can't rely on, or that another host may change.
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs")


def look(visit: Visit) -> Iterator[Finding]:
    """Look at the database, as far as it lets itself be looked at."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        yield problem(
            f"The database can't be reached: {first_line(error)}",
            "Every message is answered with 503 until it can.",
            "Look at DATABASE_URL, and whether the server runs and lets this host in.",
        )
        return
    yield from _on_postgresql() if connection.vendor == "postgresql" else _on_sqlite()
    if not outages.takes_writes():
        yield problem(
            "The database can only be read.",
            "No message can be stored; a standby stays so until it is promoted.",
            "Let DATABASE_URL name the primary, or ALTER ROLE … RESET default_transaction_read_only"
            if connection.vendor == "postgresql"
            else f"chown it to this account, or chmod u+w {connection.settings_dict['NAME']}",
        )
    elif not migrated():
        yield problem(
            "Migrations were not run.",
            "The code expects tables and columns that aren't there.",
            migrating(),
        )
    else:
        yield ok("It takes writes, and all migrations were run.")
    skew = clock.skew()
    if abs(skew) > clock.TOLERANCE:
        yield note(
            f"{clock.describe(skew)}.",
            "Leases and expiries go by the database's clock, but logs and certificates by this"
            " host's.",
            "timedatectl set-ntp true, on both hosts",
        )


def _on_postgresql() -> Iterator[Finding]:
    version = _ask("SHOW server_version")
    if int(_ask("SHOW server_version_num")) < OLDEST_POSTGRESQL * 10_000:
        yield problem(
            f"This is PostgreSQL {version}.",
            f"The statements of the queue need {OLDEST_POSTGRESQL} or newer.",
            "Upgrade the server; pg_upgrade takes minutes.",
        )
    else:
        yield ok(f"PostgreSQL {version}.")
    for name, least in TIMEOUTS.items():
        found = _ask(
            "SELECT max(setting) FROM pg_settings WHERE name = %s AND setting <> '0'", name
        )
        if found is not None and int(found) < least:
            yield note(
                f"{name} is {int(found) / 1000:g} seconds.",
                "Longer queries of workflows fail, and migrations may.",
                f"ALTER ROLE CURRENT_USER SET {name} = 0",
            )
    isolation = _ask("SELECT reset_val FROM pg_settings WHERE name = %s", _ISOLATION)
    if isolation != "read committed":
        yield note(
            f"The default isolation is {isolation}.",
            "Chatflow sets read committed for its own connections; other code of the project gets"
            " errors of serialization, which it must expect.",
            f"ALTER ROLE CURRENT_USER SET {_ISOLATION} = 'read committed'",
        )
    if _ask("SHOW server_encoding") != "UTF8":
        yield problem(
            f"The database's encoding is {_ask('SHOW server_encoding')}.",
            "Messages in other alphabets can't be stored.",
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the rows",
        )


_ISOLATION = "default_transaction_isolation"


def _on_sqlite() -> Iterator[Finding]:
    version = _ask("SELECT sqlite_version()")
    if tuple(map(int, version.split("."))) < OLDEST_SQLITE:
        yield problem(
            f"This is SQLite {version}.",
            f"The statements of the queue need {'.'.join(map(str, OLDEST_SQLITE))} or newer.",
            "Install a Python with a newer SQLite, or use PostgreSQL.",
        )
    else:
        yield ok(f"SQLite {version}.")
    if _ask("PRAGMA journal_mode") != "wal":
        yield problem(
            "SQLite doesn't keep a write-ahead log.",
            "Whoever reads keeps out whoever writes, and the doorbell rings late.",
            f'DATABASES["{alias()}"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL;"',
        )
    path = Path(connection.settings_dict["NAME"]).resolve()
    kind = file_system_of(path)
    if kind in REMOTE:
        yield problem(
            f"{path} lies on another host's file system ({kind}).",
            "SQLite's log is shared memory: two hosts that open it break the database.",
            "Move it to a local disk, or set DATABASE_URL to PostgreSQL.",
        )
    if not os.access(path.parent, os.W_OK):
        yield problem(
            f"The folder {path.parent} can't be written to.",
            "SQLite makes its log and its locks beside the database.",
            f"chown chatflow {path.parent}",
        )


def file_system_of(path: Path) -> str:
    """Return the kind of the file system that a file is on; empty where that can't be told."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    above = [
        (where, kind) for where, kind in mounts if path.is_relative_to(where.replace("\\040", " "))
    ]
    return max(above, key=lambda each: len(each[0]), default=("", ""))[1]


def _ask(query: str, *values: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        row = cursor.fetchone()
        return row[0] if row else None

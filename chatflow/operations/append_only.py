"""The guard in the database: it refuses to change or to remove an act, whoever asks.

Who owns the table can take the guard away, so it stops mistakes and a stolen session, not the
database's administrator. Only `removing()` lets rows go: when they are too old, or when a whole
database is emptied.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from chatflow.operations.models import Act
from chatflow.workflows.db import alias, atomic

TABLE = "chatflow_operations_act"
REFUSAL = "chatflow: an act on record is neither changed nor removed"

POSTGRES = (
    f"""
    CREATE OR REPLACE FUNCTION chatflow_act_stands() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'UPDATE' AND current_setting('chatflow.removing_acts', true) = 'on' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION '{REFUSAL}';
    END $$
    """,
    f"CREATE TRIGGER act_stands BEFORE UPDATE OR DELETE ON {TABLE}"
    " FOR EACH ROW EXECUTE FUNCTION chatflow_act_stands()",
    f"CREATE TRIGGER act_stands_whole BEFORE TRUNCATE ON {TABLE}"
    " FOR EACH STATEMENT EXECUTE FUNCTION chatflow_act_stands()",
)
POSTGRES_BACK = (
    f"DROP TRIGGER IF EXISTS act_stands ON {TABLE}",
    f"DROP TRIGGER IF EXISTS act_stands_whole ON {TABLE}",
    "DROP FUNCTION IF EXISTS chatflow_act_stands()",
)
KEPT = (
    f"CREATE TRIGGER act_kept BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
)
SQLITE = (
    KEPT,
    f"CREATE TRIGGER act_unchanged BEFORE UPDATE ON {TABLE}"
    f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    # REPLACE deletes without the first of these.
    f"CREATE TRIGGER act_not_replaced BEFORE INSERT ON {TABLE}"
    f" WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)"
    f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
)
SQLITE_BACK = tuple(
    f"DROP TRIGGER IF EXISTS {name}" for name in ("act_kept", "act_unchanged", "act_not_replaced")
)


def guard(connection: Any) -> None:
    """Put the guard up; a migration does."""
    _execute(connection, POSTGRES if connection.vendor == "postgresql" else SQLITE)


def unguard(connection: Any) -> None:
    """Take it away for good; a migration does, on its way back."""
    _execute(connection, POSTGRES_BACK if connection.vendor == "postgresql" else SQLITE_BACK)


@contextmanager
def removing(database: str = "") -> Iterator[None]:
    """Open a transaction that may remove acts, though change none; no other one may meanwhile.

    Args:
        database: another one than Chatflow's, which a command was told.
    """
    connection = connections[database or alias()]
    with atomic(database):
        if connection.vendor == "postgresql":
            set_to = "SELECT set_config('chatflow.removing_acts', '{}', true)"
            lift, restore = set_to.format("on"), set_to.format("off")
        else:
            # Nobody else writes before this transaction has ended.
            lift, restore = SQLITE_BACK[0], KEPT
        _execute(connection, (lift,))
        yield
        _execute(connection, (restore,))


def remove(acts: Any) -> int:
    """Remove the acts of a query, and return how many there were."""
    with removing(acts.db):
        count: int = acts._raw_delete(acts.db)
    return count


def _execute(connection: Any, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


assert Act._meta.db_table == TABLE

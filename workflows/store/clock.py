"""The database's clock in SQL: leases and delays must not depend on the clocks of the hosts."""

from django.db import connection


def sql_now(offset: float = 0) -> str:
    """Return the SQL expression for the database's present moment, for a statement with parameters.

    Args:
        offset: seconds to add.
    """
    if connection.vendor == "postgresql":
        return f"(statement_timestamp() + interval '{offset:f} seconds')"
    # SQLite's clock has milliseconds, Python's has more: what was made a moment ago would lie ahead
    # of a present that is cut off. So it is the last moment of the millisecond.
    return f"(strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{offset:+f} seconds') || '999')"


def sql_seconds_since(column: str) -> str:
    """Return the SQL expression for the seconds from *column*'s moment until now. See sql_now()."""
    if connection.vendor == "postgresql":
        return f"extract(epoch from statement_timestamp() - {column})"
    return f"((julianday({sql_now()}) - julianday({column})) * 86400.0)"

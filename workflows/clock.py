"""The database's clock in SQL: leases and delays must not depend on the clocks of the hosts."""

from django.db import connection


def sql_now(offset: float = 0) -> str:
    """Return the SQL expression for the database's present moment.

    Args:
        offset: seconds to add.
    """
    if connection.vendor == "postgresql":
        return f"(statement_timestamp() + interval '{offset:f} seconds')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{offset:+f} seconds')"


def sql_seconds_since(column: str) -> str:
    """Return the SQL expression for the seconds from *column*'s moment until now."""
    if connection.vendor == "postgresql":
        return f"extract(epoch from statement_timestamp() - {column})"
    return f"((julianday('now') - julianday({column})) * 86400.0)"

"""Full text: the database's own index, asked in the same way on PostgreSQL and on SQLite."""

from django.db import connection

from workflows.knowledge.fulltext.base import CAP, MARKS, FullText

__all__ = ["CAP", "MARKS", "FullText", "full_text"]


def full_text() -> FullText:
    """Return the index of the configured database."""
    if connection.vendor == "postgresql":
        from workflows.knowledge.fulltext.postgres import Postgres

        return Postgres()
    from workflows.knowledge.fulltext.sqlite import Sqlite

    return Sqlite()

"""Full text: the database's own index, asked in the same way on PostgreSQL and on SQLite."""

from django.utils.module_loading import import_string

from chatflow.workflows.db import connection
from chatflow.workflows.knowledge.fulltext.base import CAP, FullText

__all__ = ["CAP", "FullText", "full_text"]

# By Django's name of the database's kind.
INDEXES = {
    "postgresql": "chatflow.workflows.knowledge.fulltext.postgres.Postgres",
    "sqlite": "chatflow.workflows.knowledge.fulltext.sqlite.Sqlite",
}


def full_text() -> FullText:
    """Return the index of the configured database."""
    index: FullText = import_string(INDEXES[connection.vendor])()
    return index

"""One row and the row that it points to, for questions that come with every request.

The ORM takes half a millisecond to put such a query together, on each request anew. Here it does
that once, and the database plans it once. The results are models as the ORM makes them,
whatever they are: with parent tables, keys of any type, or a ``from_db()`` of their own.
"""

import functools
from collections.abc import Iterator
from typing import Any, TypeVar

from django.db import models

from chatflow.workflows.db import connection
from chatflow.workflows.store.database import get_database
from chatflow.workflows.store.rows import next_values

M = TypeVar("M", bound=models.Model)


def find_with(model: type[M], related: str, *, key: str) -> M | None:
    """Return the row whose primary key is *key*, and with it the row of its foreign key *related*.

    Args:
        model: one whose primary key is a text, and which has no parent table.
        related: the name of a foreign key that is never null.
        key: the text.
    """
    row = get_database().fetch(_query(model, related), {"key": key})
    if row is None:
        return None
    values = iter(row)
    found = _from_db(model, values)
    target: Any = model._meta.get_field(related).related_model
    setattr(found, related, _from_db(target, values))
    return found


@functools.cache
def _query(model: type[models.Model], related: str) -> str:
    joined = model._base_manager.select_related(related).filter(pk="")
    sql, _ = joined.query.sql_with_params()
    return sql.replace("%s", "%(key)s")


def _from_db(model: type[M], row: Iterator[Any]) -> M:
    # The ORM selects a model's columns in this order too, those of its parents among them.
    names, values = next_values(model, row)
    return model.from_db(connection.alias, names, values)

"""One row and the rows that it points to, for questions that come with every request.

The ORM takes half a millisecond to put such a query together, on each request anew. Here it does
that once, and the database plans it once. The results are models as the ORM makes them,
whatever they are: with parent tables, keys of any type, or a ``from_db()`` of their own.
"""

import functools
from typing import Any, TypeVar, cast

from django.db import models

from chatflow.workflows.db import connection
from chatflow.workflows.store.database import Row, get_database

M = TypeVar("M", bound=models.Model)

# In the place of a key while a query is put together: the SQL is the same for each.
ANY = "0"


def find_with(model: type[M], *related: str, by: str = "pk", key: Any) -> M | None:
    """Return the row whose field *by* is *key*, and with it the rows that it points to.

    Args:
        model: the row's.
        related: which rows, as ``select_related()`` takes them.
        by: the name of a field that is unique; it has no converter of its own.
        key: its value.
    """
    made = _make(model, related, by)
    row = get_database().fetch(made.sql, {"key": key})
    return None if row is None else cast(M, made.read(row))


class _Query:
    """A query of the ORM's, put together.

    Args:
        rows: what it asks for, by one parameter.

    Attributes:
        sql: the query; its parameter is called ``key``.
    """

    def __init__(self, rows: models.QuerySet[Any]) -> None:
        compiler = rows.query.get_compiler(connection=connection)
        sql, _ = compiler.as_sql()
        self.sql = sql.replace("%s", "%(key)s")
        self._columns = [column for column, _, _ in compiler.select]
        self._converters = compiler.get_converters(self._columns)
        # Which of the columns are which model's, and how its instances are tied together.
        self._info: Any = compiler.klass_info

    def read(self, row: Row) -> models.Model:
        """Return the instance of a row, tied to those that it points to."""
        values = list(row)
        for place, (converters, column) in self._converters.items():
            for convert in converters:
                values[place] = convert(values[place], column, connection)
        found = self._make(self._info, values)
        assert found is not None, "A row has a key."
        return found

    def _make(self, info: Any, values: list[Any]) -> models.Model | None:
        model = info["model"]
        names = [self._columns[place].target.attname for place in info["select_fields"]]
        mine = [values[place] for place in info["select_fields"]]
        if mine[names.index(model._meta.pk.attname)] is None:
            return None
        made: models.Model = model.from_db(connection.alias, names, mine)
        for each in info.get("related_klass_infos", ()):
            related = self._make(each, values)
            each["local_setter"](made, related)
            if related is not None:
                each["remote_setter"](related, made)
        return made


@functools.cache
def _make(model: type[models.Model], related: tuple[str, ...], by: str) -> _Query:
    return _Query(model._base_manager.select_related(*related).filter(**{by: ANY}))

"""Between plain SQL and models: rows become instances, and keys become parameters."""

import functools
import re
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db import models
from django.db.models.base import ModelState
from django.db.models.expressions import RawSQL

from chatflow.workflows.db import connection

M = TypeVar("M", bound=models.Model)
Convert = Callable[[Any], Any]
PARAMETER = re.compile(r"%\((\w+)\)s")


def columns(model: type[models.Model], table: str) -> str:
    """Return the SQL for the columns of *table* that from_row() takes."""
    return ", ".join(f"{table}.{field.column}" for field in model._meta.concrete_fields)


def key_of(row: models.Model) -> Any:
    """Return the primary key of *row* as a parameter of plain SQL, whatever its field is."""
    return row._meta.pk.get_db_prep_value(row.pk, connection)


def parameters(row: models.Model, names: Collection[str]) -> dict[str, Any]:
    """Return the values of *row* as parameters of plain SQL.

    Args:
        row: an instance, stored or not.
        names: of its attributes for columns, such as ``user_id``.
    """
    return {
        field.attname: field.get_db_prep_save(getattr(row, field.attname), connection)
        for field in row._meta.concrete_fields
        if field.attname in names
    }


def expression(sql: str, params: dict[str, Any]) -> RawSQL:
    """Return an expression for Django's own queries.

    Args:
        sql: names its parameters as ``%(name)s``.
        params: them, and perhaps more.
    """
    names = PARAMETER.findall(sql)
    return RawSQL(PARAMETER.sub("%s", sql), [params[name] for name in names])


def from_row(model: type[M], row: Iterator[Any]) -> M:
    """Return the instance of a row, without a query of its own.

    Args:
        model: its class.
        row: takes the next values from it, which are those of columns(), and leaves the rest.
    """
    names, converters = _describe(model)
    values = list(islice(row, len(names)))
    for place, convert in converters:
        values[place] = convert(values[place])
    # As Model.from_db() does it, but in one go: a claim must be fast, and a job has 50 columns.
    made = model.__new__(model)
    made.__dict__.update(zip(names, values, strict=True), _state=ModelState())
    made._state.adding, made._state.db = False, connection.alias
    return made


@functools.cache
def _describe(model: type[models.Model]) -> tuple[list[str], list[tuple[int, Convert]]]:
    """Return the names of a model's columns, and Django's converters for the values of some."""
    converters: list[tuple[int, Convert]] = []
    for place, field in enumerate(model._meta.concrete_fields):
        column = field.get_col(model._meta.db_table)
        for convert in (
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        ):
            converters.append((place, functools.partial(_convert, convert, column)))
    return [field.attname for field in model._meta.concrete_fields], converters


def _convert(convert: Callable[..., Any], column: Any, value: Any) -> Any:
    return convert(value, column, connection)

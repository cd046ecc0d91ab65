"""What was used in some days: by user, workflow or model, the dearest first, or day by day.

Of weeks and months that are over their sums are read (store.usage_figures), so that a year takes
no longer than a month.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F, QuerySet, Sum

from chatflow.workflows.db import connection
from chatflow.workflows.models import UsageFigures, UsageMark, UsageSums
from chatflow.workflows.store.usage_figures import DAY, MONTH, SUMS, WEEK, begin_of, end_of

# The days that are told one by one: the latest.
MOST_DAYS = 31
ADDED_UP = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
COLUMNS = {"user": "user_id", "workflow": "workflow", "model": "model"}

GROUPED = """
    SELECT {column}, {sums}, {totals} FROM ({rows}) used
    GROUP BY {column} ORDER BY cost DESC, tokens DESC, {column} LIMIT %s
"""
TOTAL = "SELECT {sums} FROM ({rows}) used"

# A stretch of time: its span, empty for days, and its first day and the one behind its last.
Stretch = tuple[str, date, date]


@dataclass(frozen=True)
class Asked:
    """What is asked about.

    Args:
        since: the first day.
        until: the last one.
        user: the key of the only user whose usage is counted; None for all.
        workflow: likewise; empty for all.
        model: likewise.
    """

    since: date
    until: date
    user: Any = None
    workflow: str = ""
    model: str = ""

    @property
    def days(self) -> QuerySet[Any]:
        """The rows of all the days."""
        return self.limit(UsageFigures.objects.filter(day__gte=self.since, day__lte=self.until))

    def limit(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of *rows* that are asked about."""
        wanted = {"user": self.user, "workflow": self.workflow, "model": self.model}
        return rows.filter(**{name: value for name, value in wanted.items() if value})


@dataclass(frozen=True)
class Usage:
    """What was used; each row has the columns of UsageFigures.

    Args:
        rows: by their keys, in order.
        total: of all, those too that are left out.
        is_cut: there are more rows.
    """

    rows: dict[Any, dict[str, Any]]
    total: dict[str, Any]
    is_cut: bool


def usage(asked: Asked, by: str, most: int) -> Usage:
    """Add up what was used.

    Args:
        asked: of whom, and when.
        by: "user", "workflow", "model" or "day".
        most: rows that are wanted; of days the latest MOST_DAYS.
    """
    if by == "day":
        return _by_day(asked)
    query, params = _rows(asked)
    with connection.cursor() as cursor:
        # Both in one: what all come to takes as long to add up as each of them.
        grouped = GROUPED.format(
            column=COLUMNS[by],
            sums=f"{ADDED_UP}, sum(input_tokens + output_tokens) AS tokens",
            totals=", ".join(f"sum(sum({name})) OVER ()" for name in SUMS),
            rows=query,
        )
        cursor.execute(grouped, [*params, most + 1])
        found = cursor.fetchall()
    end = 1 + len(SUMS)
    total = _read(found[0][end + 1 :] if found else None)
    return Usage(
        {_key(by, row[0]): _read(row[1:end]) for row in found[:most]}, total, len(found) > most
    )


def _by_day(asked: Asked) -> Usage:
    """Return the latest days; of those in front of them only what they come to."""
    since = max(asked.since, asked.until - (MOST_DAYS - 1) * DAY)
    rows = {row["day"]: row for row in group(replace(asked, since=since), "day")}
    parts = list(rows.values())
    if since > asked.since:
        query, params = _rows(replace(asked, until=since - DAY))
        with connection.cursor() as cursor:
            cursor.execute(TOTAL.format(sums=ADDED_UP, rows=query), params)
            parts.append(_read(cursor.fetchone()))
    total = {name: sum(part[name] for part in parts) for name in SUMS}
    return Usage(rows, total, is_cut=since > asked.since)


def group(asked: Asked, by: str) -> Any:
    """Return all rows of a question from the days alone, as a query: for whoever has time."""
    found = asked.days.values(by)
    if by != "day":
        # The tokens first: later on the columns' names are those of their sums.
        found = found.annotate(tokens=Sum(F("input_tokens") + F("output_tokens")))
    order = ("-day",) if by == "day" else ("-cost", "-tokens", by)
    return found.annotate(**{name: Sum(name) for name in SUMS}).order_by(*order)


def cover(since: date, upto: date, summed: date) -> Iterator[Stretch]:
    """Return the stretches of time that days consist of: months, weeks, and what is left.

    Args:
        since: the first day.
        upto: the one behind the last.
        summed: months and weeks that end later are taken by their days.
    """
    return _cover(since, upto, summed, (MONTH, WEEK))


def _cover(since: date, upto: date, summed: date, spans: tuple[str, ...]) -> Iterator[Stretch]:
    if not spans:
        if since < upto:
            yield "", since, upto
        return
    span, *finer = spans
    first = since if begin_of(span, since) == since else end_of(span, since)
    last = begin_of(span, min(upto, summed))
    if first >= last:
        yield from _cover(since, upto, summed, tuple(finer))
        return
    yield from _cover(since, first, summed, tuple(finer))
    yield span, first, last
    yield from _cover(last, upto, summed, tuple(finer))


def _rows(asked: Asked) -> tuple[str, Any]:
    """Return the query for the rows that add up to what is asked, and its parameters."""
    mark = UsageMark.objects.first()
    summed = (mark.summed_upto if mark is not None else None) or asked.since
    parts = []
    for span, first, last in cover(asked.since, asked.until + DAY, summed):
        found: Any = UsageFigures.objects.filter(day__gte=first, day__lt=last)
        if span:
            found = UsageSums.objects.filter(span=span, since__gte=first, since__lt=last)
        parts.append(asked.limit(found).values_list(*COLUMNS.values(), *SUMS))
    query = parts[0].union(*parts[1:], all=True).query
    # As the database has it in which they are: sql_with_params() takes the default one.
    compiled: tuple[str, Any] = query.get_compiler(connection=connection).as_sql()
    return compiled


def _key(by: str, value: Any) -> Any:
    # As Django has it, whatever the database does.
    return get_user_model()._meta.pk.to_python(value) if by == "user" else value


def _read(values: Any) -> dict[str, Any]:
    """Return sums by their names, as a row of the table has them; of no rows they are 0."""
    read = dict(zip(SUMS, values or [0] * len(SUMS), strict=True))
    cost = Decimal(str(read["cost"] or 0)).quantize(Decimal("1e-8"))
    return {name: int(value or 0) for name, value in read.items()} | {"cost": cost}

"""Rows of the last days, found by their keys: these grow as the rows come, and have an index."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from chatflow.workflows import clock

# By how much the moments of rows that were made side by side may differ from their order.
SLACK = timedelta(minutes=5)


class CreatedFilter(admin.SimpleListFilter):
    """Rows of a model that has ``created_at`` without an index."""

    title = "date"
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Last 24 hours"), ("7", "Last 7 days"), ("30", "Last 30 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        since = clock.now() - timedelta(days=int(str(self.value())))
        first = first_key(queryset.model, since - SLACK)
        return queryset.filter(pk__gte=first, created_at__gte=since)


def first_key(model: type[Model], moment: datetime) -> int:
    """Return a key that is not above those of the rows made since a moment; some twenty queries."""
    rows = model._default_manager.order_by("pk").values_list("pk", "created_at")
    oldest, newest = rows.first(), rows.last()
    if oldest is None or newest is None:
        return 0
    low, high = oldest[0], newest[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = rows.filter(pk__gte=middle, pk__lt=high).first()
        if found is None or found[1] >= moment:
            high = middle
        else:
            low = found[0] + 1
    return int(low)

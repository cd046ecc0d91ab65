"""Rows that staff add, change and delete by Django's own forms."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from chatflow.operations import audit


class Audited:
    """For an admin class: what its forms do is on record, beside Django's own log."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit.record_form(request, obj, f"Add {obj._meta.verbose_name_raw}")
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit.record_form(request, obj, f"Change {obj._meta.verbose_name_raw}")
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for row in queryset:
            audit.record_form(request, row, f"Delete {row._meta.verbose_name_raw}")
        return super().log_deletions(request, queryset)  # type: ignore[misc]

"""From where the staff changed accounts and groups, whose pages are Django's or the project's."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.http import HttpRequest

from chatflow.operations import audit


class Located:
    """For the page of an account or a group: audit.mirror() is told by which request it was."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        with audit.during(request):
            return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        with audit.during(request):
            return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        with audit.during(request):
            entries = super().log_deletions(request, queryset)  # type: ignore[misc]
            # Of one the signal of its row tells; several are stored together, without any.
            for entry in entries if len(entries) > 1 else ():
                audit.mirror_entry(entry)
        return entries


def locate(site: AdminSite) -> None:
    """Let the pages of accounts and groups say from where they were used.

    Args:
        site: on which all pages are registered by now; those that it has not are left.
    """
    for model in (get_user_model(), Group):
        page = site._registry.get(model)
        if page is not None and not isinstance(page, Located):
            kind = type(page)
            page.__class__ = type(kind.__name__, (Located, kind), {"__module__": kind.__module__})

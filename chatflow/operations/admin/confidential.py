"""Pages of rows that have words of users and models in them."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.http import HttpRequest, HttpResponse

from chatflow.operations.roles import HIDDEN, may_read_texts
from chatflow.workflows.texts import TEXTS


class Confidential:
    """For an admin class or an inline: who may not read texts sees the rest of the row.

    What is hidden are the columns of `TEXTS`, and the columns of the page that `tells` names. Nor
    can the rows be searched or filtered by them, which would tell them letter by letter.
    """

    model: Any
    # Methods that show words.
    tells: tuple[str, ...] = ()
    # A row's own name, as the page's title has it, is what a user wrote.
    named_by_users = False

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._for(request, super().get_list_display(request))  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if obj is None:
            # It is being added.
            return groups
        return [
            (title, {**options, "fields": self._for(request, options["fields"])})
            for title, options in groups
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)  # type: ignore[misc]
        if obj is None or may_read_texts(request.user):
            return fields
        return [*self._for(request, fields), *map(self._hidden, self._words())]

    def get_search_fields(self, request: HttpRequest) -> Any:
        fields = super().get_search_fields(request)  # type: ignore[misc]
        if may_read_texts(request.user):
            return fields
        return [each for each in fields if each.partition("__")[0] not in self._words()]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        named = lookup.split("__")[0] in self._words()
        if named and not may_read_texts(request.user):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]
        return allowed

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context.get("original")
        if row is not None and self._unnamed(request):
            context |= {"original": Unnamed(row), "subtitle": Unnamed(row)}
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]
        return answer

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        extra = dict(extra_context or {})
        row = self.get_object(request, object_id) if self._unnamed(request) else None  # type: ignore[attr-defined]
        if row is not None:
            extra |= {"title": "Change history", "object": Unnamed(row)}
        answer: HttpResponse = super().history_view(request, object_id, extra)  # type: ignore[misc]
        return answer

    def _unnamed(self, request: HttpRequest) -> bool:
        return self.named_by_users and not may_read_texts(request.user)

    def _words(self) -> tuple[str, ...]:
        return (*TEXTS.get(self.model._meta.label_lower, ()), *self.tells)

    def _for(self, request: HttpRequest, fields: Iterable[Any]) -> list[Any]:
        """Return the fields of a page, with others in the place of those that have words."""
        if may_read_texts(request.user):
            return list(fields)
        return [self._in_place_of(each) for each in fields]

    def _in_place_of(self, field: Any) -> Any:
        if isinstance(field, list | tuple):
            return [self._in_place_of(each) for each in field]
        return self._hidden(field) if field in self._words() else field

    def _hidden(self, name: str) -> Callable[[Any], str]:
        """Return the column that stands in the place of another one, the same each time."""
        known: dict[str, Callable[[Any], str]] = self.__dict__.setdefault("_columns", {})
        if name not in known:

            @admin.display(description=label_for_field(name, self.model, self))  # type: ignore[call-overload]
            def show(row: Any) -> str:
                value = getattr(row, name) if hasattr(row, name) else getattr(self, name)(row)
                return HIDDEN if value and value != "-" else "-"

            known[name] = show
        return known[name]


class Unnamed:
    """A row by its key, for pages that would tell its name."""

    def __init__(self, row: Any) -> None:
        self.pk, self._meta = row.pk, row._meta

    def __str__(self) -> str:
        return str(self.pk)

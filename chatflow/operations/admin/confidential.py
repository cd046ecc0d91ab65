"""Pages of rows that have words of users and models in them."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.http import HttpRequest

from chatflow.operations.roles import HIDDEN, may_read_texts
from chatflow.workflows.texts import TEXTS


class Confidential:
    """For an admin class or an inline: who may not read texts sees the rest of the row.

    What is hidden are the columns of `TEXTS`, and the columns of the page that `tells` names. Nor
    can the rows be searched or filtered by them, which would tell them letter by letter, or changed
    in a form that shows them.

    Django's admin says ``str(row)`` in titles, breadcrumbs, labels, messages, questions before it
    deletes and its own history. That is the row's key, see `texts.Unsaid`; and where a page lets
    somebody read the row, the words of the column `named_by`.
    """

    model: Any
    # Methods that show words.
    tells: tuple[str, ...] = ()
    # The column by which people know a row.
    named_by = ""

    def is_public(self, row: Any) -> bool:
        """Say whether the words of a row are for all who may view it."""
        return False

    def may_read(self, request: HttpRequest, row: Any) -> bool:
        """Say whether the one who asks may read the words of a row."""
        return may_read_texts(request.user) or self.is_public(row)

    def call(self, request: HttpRequest, row: Any) -> Any:
        """Return a row that ``str()`` calls as the one who asks may know it."""
        if self.named_by and self.may_read(request, row):
            row.called = getattr(row, self.named_by)
        return row

    # Where Django's admin says what a row is called.

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        row = super().get_object(request, *args, **kwargs)  # type: ignore[misc]
        return row if row is None else self.call(request, row)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)  # type: ignore[misc]
        for row in changes.result_list if self.named_by else ():
            self.call(request, row)
        return changes

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        for row in objs:
            self.call(request, row)
        return super().get_deleted_objects(objs, request)  # type: ignore[misc]

    # Its history is kept for longer than words are, and so has none.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return super().log_addition(request, _by_key(obj), message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return super().log_change(request, _by_key(obj), message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        return super().log_deletions(request, [_by_key(row) for row in queryset])  # type: ignore[misc]

    # Columns and fields.

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)  # type: ignore[misc]
        return allowed and (obj is None or self.may_read(request, obj))

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)  # type: ignore[misc]
        return columns if may_read_texts(request.user) else self._replace(columns)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = super().get_fieldsets(request, obj)  # type: ignore[misc]
        # Without a row it is being added.
        if obj is None or self.may_read(request, obj):
            return groups
        return [
            (title, {**options, "fields": self._replace(options["fields"])})
            for title, options in groups
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)  # type: ignore[misc]
        if obj is None or self.may_read(request, obj):
            return fields
        return [*self._replace(fields), *map(self._hidden, self._words())]

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

    def _words(self) -> tuple[str, ...]:
        return (*TEXTS.get(self.model._meta.label_lower, ()), *self.tells)

    def _replace(self, fields: Iterable[Any]) -> list[Any]:
        """Return the fields of a page, with others in the place of those that have words."""
        return [
            self._replace(each)
            if isinstance(each, list | tuple)
            else self._hidden(each)
            if each in self._words()
            else each
            for each in fields
        ]

    def _hidden(self, name: str) -> Callable[[Any], Any]:
        """Return the column that stands in the place of another one, the same each time."""
        known: dict[str, Callable[[Any], Any]] = self.__dict__.setdefault("_columns", {})
        if name not in known:

            @admin.display(description=label_for_field(name, self.model, self))  # type: ignore[call-overload]
            def show(row: Any) -> Any:
                value = getattr(row, name) if hasattr(row, name) else getattr(self, name)(row)
                if not value or value == "-":
                    return "-"
                return value if self.is_public(row) else HIDDEN

            show.__name__ = name
            known[name] = show
        return known[name]


def _by_key(row: Any) -> Any:
    """Return a row under its key, whatever pages call it."""
    same = copy.copy(row)
    same.called = ""
    return same

"""What the pages of all tables share. Rows are read-only.

The lists are made for millions of rows: nothing counts, sorts or scans a whole table.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import (
    Model,
    Q,
    QuerySet,
)
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from chatflow.conf import conf
from chatflow.operations.admin.confidential import Confidential
from chatflow.workflows.models import (
    Job,
    Session,
)
from chatflow.workflows.registry import all_workflows

# Rows that a list pages through; a search or a filter finds those further down.
COUNTED = 10_000
# django-stubs makes these classes generic; at run time they are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    PaginatorBase = Paginator[Any]
else:
    ModelAdmin, PaginatorBase = admin.ModelAdmin, Paginator


def moment(field: str, said: str = "") -> Any:
    """Return a column of a time to the millisecond; Django's own shows minutes.

    Args:
        field: of the row.
        said: above the column; by default the field's name.
    """
    # Any: django-stubs doesn't know that a column may be a function.

    @admin.display(description=said or field.replace("_", " "))
    def show(row: Any) -> str:
        at: datetime | None = getattr(row, field)
        return "-" if at is None else f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S.%f}"[:-3]

    # The pages' styles call a column by it.
    show.__name__ = field
    return show


created_at = moment("created_at")


class CappedPaginator(PaginatorBase):
    """Counts no further than it has to, for a count of a big table takes seconds."""

    @cached_property
    def count(self) -> int:
        found = self.object_list
        assert isinstance(found, QuerySet)
        return found.order_by("-pk").values("pk")[:COUNTED].count()


class ReadOnly:
    """A row can be viewed, not added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Listed:
    """A list in the look of the room: filters in rows above it, and cards on a phone."""

    opts: Any
    change_list_template: ClassVar[Any] = "chatflow/operations/rows.html"
    object_history_template: ClassVar[Any] = "chatflow/operations/history.html"
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css: ClassVar = {"all": ("chatflow/css/operations.css",)}

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)  # type: ignore[misc]
        changes.title = capfirst(self.opts.verbose_name_plural)
        return changes


class BigTableAdmin(Confidential, Listed, ReadOnly, ModelAdmin):
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()


class TenantAdmin(BigTableAdmin):
    """Where users act for organisations, a column for these; each shows its own rows only."""

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return [*columns, "of_tenant"] if conf.TENANT else columns

    @admin.display(description="tenant")
    def of_tenant(self, row: Job | Session) -> str:
        if not row.tenant:
            return "-"
        return format_html('<a href="?{}">{}</a>', urlencode({"tenant": row.tenant}), row.tenant)


def titled(kind: type[admin.FieldListFilter], title: str) -> type[admin.FieldListFilter]:
    """Return a filter of that kind under another title than its field's name."""

    class Titled(kind):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.title = title

    return Titled


class WorkflowFilter(admin.SimpleListFilter):
    """The workflows that are registered: no table is asked for those that there are."""

    title = "workflow"
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted((each.name, each.title) for each in all_workflows())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(workflow=self.value()) if self.value() else queryset


def id_begins(beginning: str) -> Q:
    """Return the condition that the public id of a row begins like this."""
    # SQLite has no index for a beginning, but for what lies between two ids.
    between = Q(public_id__gte=beginning, public_id__lt=beginning + "g")
    return between & Q(public_id__startswith=beginning)


def links(found: Sequence[Model]) -> SafeString:
    """Return links to the admin pages of jobs."""
    return format_html_join(
        ", ",
        '<a href="{}">{}</a>',
        ((reverse("admin:chatflow_workflows_job_change", args=(job.pk,)), job) for job in found),
    )


def count_jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"

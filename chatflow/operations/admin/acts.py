"""The log of acts: who did what, when, from where, to what and why."""

from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator

from chatflow.operations.admin import persons
from chatflow.operations.admin.tables import BigTableAdmin, moment, titled
from chatflow.operations.models import Act

# Different values that a filter offers.
OFFERED = 50
# Characters of an id that the list shows.
SHOWN = 18


class Values(admin.SimpleListFilter):
    """The values that a column has, each found by one look at its index."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found: list[str] = []
        name = str(self.parameter_name)
        while len(found) < OFFERED:
            rest = Act.objects.filter(**{f"{name}__gt": found[-1]} if found else {})
            value = rest.order_by(name).values_list(name, flat=True).first()
            if value is None:
                break
            found.append(value)
        return [(value, value) for value in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(**{str(self.parameter_name): self.value()})


class ByAct(Values):
    title = "act"
    parameter_name = "act"


class ByWho(Values):
    title = "who"
    parameter_name = "who"


at = moment("at", "when")


@admin.register(Act)
class ActAdmin(BigTableAdmin):
    list_display = (at, "who", "act", "target", "outcome", "why", "came_from")
    list_filter = (ByWho, ByAct, ("at", titled(admin.DateFieldListFilter, "date")))
    # Makes the search box appear; get_search_results() does the searching.
    search_fields = ("target_id",)
    search_help_text = "The id of what it was done to, or the name of who did it."
    readonly_fields = (at, "its_page", "came_from")
    fields = (at, "who", "came_from", "act", "its_page", "outcome", "why")

    change_list_template = "chatflow/operations/acts.html"

    def get_urls(self) -> list[Any]:
        """Return also the pages of persons, which have no table of their own."""
        view = self.admin_site.admin_view
        return [
            path("persons/", view(persons.find), name="chatflow_operations_persons"),
            path("persons/<str:key>/", view(persons.person), name="chatflow_operations_person"),
            *super().get_urls(),
        ]

    @admin.display(description="from where")
    def came_from(self, act: Act) -> str:
        return act.origin or "-"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()
        done_to, done_by = queryset.filter(target_id=words), queryset.filter(who=words)
        if not words:
            return queryset, False
        # One of them alone, if that will do: SQLite has no index for both, and reads all rows.
        if not done_by.exists():
            return done_to, False
        return (done_by | done_to if done_to.exists() else done_by), False

    @admin.display(description="to")
    def target(self, act: Act) -> str:
        if not act.target_type:
            return "-"
        query = urlencode({"q": act.target_id})
        name = f"{kind_of(act)} {Truncator(act.target_id).chars(SHOWN)}"
        return format_html('<a href="?{}" title="{}">{}</a>', query, act.target_id, name)

    @admin.display(description="to")
    def its_page(self, act: Act) -> str:
        if not act.target_type:
            return "-"
        address = page_of(act)
        if not address:
            return f"{kind_of(act)} {act.target_id}"
        return format_html('<a href="{}">{} {}</a>', address, kind_of(act), act.target_id)


def kind_of(act: Act) -> str:
    return act.target_type.rpartition(".")[2]


def page_of(act: Act) -> str:
    """Return the address of what an act was done to; empty where it is gone, or has no page."""
    try:
        model = apps.get_model(act.target_type)
        by = "public_id" if hasattr(model, "public_id") else "pk"
        row = model._base_manager.only("pk").get(**{by: act.target_id})
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        return reverse(name, args=(row.pk,))
    except (LookupError, ObjectDoesNotExist, ValueError, ValidationError, NoReverseMatch):
        return ""

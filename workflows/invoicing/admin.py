from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from workflows.invoicing.models import Customer, Invoice, InvoiceLine, Product


class ReadOnly:
    """An invoice is a record: it can be looked at, not added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


# django-stubs makes admin classes generic; at run time they are not.
@admin.register(Customer, Product)
class NamedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "owner")
    list_select_related = ("owner",)
    search_fields = ("name",)
    raw_id_fields = ("owner",)


class InvoiceLineInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = InvoiceLine
    fields = ("position", "description", "quantity", "unit_price", "total")


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("number", "customer", "total", "created_at", "owner")
    list_select_related = ("customer", "owner")
    search_fields = ("number", "customer__name")
    date_hierarchy = "created_at"
    inlines = (InvoiceLineInline,)

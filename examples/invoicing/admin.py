from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from examples.invoicing.models import Customer, Invoice, InvoiceLine, Product

# django-stubs makes these classes generic; at run time they are not.
if TYPE_CHECKING:
    CustomerAdminBase = admin.ModelAdmin[Customer]
    ProductAdminBase = admin.ModelAdmin[Product]
    InvoiceAdminBase = admin.ModelAdmin[Invoice]
    LineInlineBase = admin.TabularInline[InvoiceLine, Invoice]
else:
    CustomerAdminBase = ProductAdminBase = InvoiceAdminBase = admin.ModelAdmin
    LineInlineBase = admin.TabularInline


class ReadOnly:
    """An invoice is a record: it can be looked at, not added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Customer)
class CustomerAdmin(CustomerAdminBase):
    list_display = ("name", "email", "phone", "owner")
    list_select_related = ("owner",)
    search_fields = ("name", "email")
    raw_id_fields = ("owner",)


@admin.register(Product)
class ProductAdmin(ProductAdminBase):
    list_display = ("name", "price", "owner")
    list_select_related = ("owner",)
    search_fields = ("name",)
    raw_id_fields = ("owner",)


class InvoiceLineInline(ReadOnly, LineInlineBase):
    model = InvoiceLine
    fields = ("position", "description", "quantity", "unit_price", "total")


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly, InvoiceAdminBase):
    list_display = ("number", "customer", "total", "created_at", "owner")
    list_select_related = ("customer", "owner")
    search_fields = ("number", "customer__name")
    date_hierarchy = "created_at"
    inlines = (InvoiceLineInline,)

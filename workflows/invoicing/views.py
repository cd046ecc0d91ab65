"""A user's invoices, to look at and to print."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from workflows.invoicing.models import Invoice

PER_PAGE = 25


@require_safe
@login_required
def invoice_list(request: HttpRequest) -> HttpResponse:
    """Show the user's invoices, the newest first."""
    mine = Invoice.objects.filter(owner_id=request.user.pk).select_related("customer")
    page = Paginator(mine.order_by("-created_at", "-number"), PER_PAGE)
    context = {"page": page.get_page(request.GET.get("page"))}
    return render(request, "invoicing/invoice_list.html", context)


@require_safe
@login_required
def invoice(request: HttpRequest, invoice_id: UUID) -> HttpResponse:
    """Show one invoice; somebody else's is as unknown as one that doesn't exist."""
    mine = Invoice.objects.filter(owner_id=request.user.pk).select_related("customer")
    found = get_object_or_404(mine, pk=invoice_id)
    context = {"invoice": found, "lines": found.lines.all()}
    return render(request, "invoicing/invoice.html", context)

"""What becomes of an invoice: it is paid, or it is declared void."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from pydantic import BaseModel, Field

from examples.invoicing.amounts import format_money
from examples.invoicing.models import Invoice
from workflows import Context, workflow

QUESTION = "Which invoice? Say its number, such as INV-000001."
NUMBER = re.compile(r"\bINV-\d{1,16}\b", re.IGNORECASE)


class Payment(BaseModel):
    """How an invoice was paid."""

    method: Literal["bank transfer", "card", "cash"] = Field(title="Paid by")
    note: str = Field("", title="Note", max_length=200)


@dataclass(kw_only=True)
class Found:
    """The invoice that is meant; *problem* says why nothing can be done with it."""

    id: str = ""
    number: str = ""
    customer: str = ""
    total: str = ""
    problem: str = ""


def next_moves(invoice_id: str) -> list[dict[str, Any]]:
    """Return what can be done with a new invoice."""
    given = {"invoice": invoice_id}
    return [
        {
            "type": "link",
            "label": "Open invoice",
            "url": reverse("invoicing:invoice", args=[invoice_id]),
        },
        {
            "type": "form",
            "label": "Mark as paid",
            "workflow": "pay_invoice",
            "input": given,
            "schema": Payment,
        },
        {"type": "button", "label": "Void it", "workflow": "void_invoice", "input": given},
    ]


@workflow(
    "pay_invoice",
    title="Mark an invoice as paid",
    description="Notes that one of your invoices was paid, and how.",
    steps=2,
)
def pay_invoice(ctx: Context) -> object:
    """Note how an invoice was paid."""
    found = _find(ctx)
    if found.problem:
        return found.problem
    payment = (
        Payment(method=ctx.input["method"], note=ctx.input.get("note", ""))
        if "method" in ctx.input
        else ctx.form(f"How was invoice {found.number} paid?", Payment)
    )
    problem = ctx.step("Noting the payment", mark_paid, ctx.user.pk, found.id, payment, atomic=True)
    return problem or f"Invoice {found.number} is marked as paid by {payment.method}."


@workflow(
    "void_invoice",
    title="Void an invoice",
    description="Declares one of your invoices void, after you have approved it.",
    steps=2,
)
def void_invoice(ctx: Context) -> object:
    """Declare an invoice void; not without the consent of a person."""
    found = _find(ctx)
    if found.problem:
        return found.problem
    approval = ctx.approve(
        f"Void invoice {found.number}? This can't be undone.",
        details={"Invoice": found.number, "Customer": found.customer, "Total": found.total},
    )
    if not approval.approved:
        because = f" ({approval.reason})" if approval.reason else ""
        return f"Invoice {found.number} stays as it is{because}."
    problem = ctx.step(
        "Voiding the invoice", mark_void, ctx.user.pk, found.id, approval.reason, atomic=True
    )
    return problem or f"Invoice {found.number} is void."


def _find(ctx: Context) -> Found:
    named = NUMBER.search(ctx.message)
    given = ctx.input.get("invoice")
    number = ""
    if given is None:
        number = named[0] if named else ctx.ask(QUESTION) or ""
    return ctx.step("Looking up the invoice", find_invoice, ctx.user.pk, given, number)


def find_invoice(owner_id: Any, invoice_id: str | None, number: str) -> Found:
    """Find one of the owner's invoices, by its id or else in words that have its number."""
    mine = Invoice.objects.filter(owner_id=owner_id).select_related("customer")
    named = NUMBER.search(number)
    if invoice_id is not None:
        invoice = mine.filter(pk=invoice_id).first()
    else:
        invoice = mine.filter(number=named[0].upper()).first() if named else None
    if invoice is None:
        return Found(problem="You have no such invoice.")
    if invoice.status != "open":
        return Found(problem=f"Invoice {invoice.number} is {invoice.status} already.")
    return Found(
        id=str(invoice.pk),
        number=invoice.number,
        customer=invoice.customer.name,
        total=format_money(invoice.total),
    )


def mark_paid(owner_id: Any, invoice_id: str, payment: Payment) -> str:
    """Note the payment. Returns why not, or nothing."""
    updated = _open(owner_id, invoice_id).update(
        paid_at=timezone.now(), payment_method=payment.method, payment_note=payment.note
    )
    return "" if updated else "Meanwhile the invoice was settled otherwise."


def mark_void(owner_id: Any, invoice_id: str, reason: str) -> str:
    """Declare the invoice void. Returns why not, or nothing."""
    updated = _open(owner_id, invoice_id).update(voided_at=timezone.now(), void_reason=reason)
    return "" if updated else "Meanwhile the invoice was settled otherwise."


def _open(owner_id: Any, invoice_id: str) -> QuerySet[Invoice]:
    return Invoice.objects.filter(owner_id=owner_id, pk=invoice_id, paid_at=None, voided_at=None)

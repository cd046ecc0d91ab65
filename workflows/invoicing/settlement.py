"""The end of an invoice: it is paid, or it is declared void."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db.models.functions import Now
from django.urls import reverse
from pydantic import BaseModel, Field

from chatflow.workflows import Context, workflow
from workflows.invoicing.amounts import format_money
from workflows.invoicing.models import Invoice

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
    details: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def next_moves(invoice_id: str) -> list[dict[str, Any]]:
    """Return the actions for a new invoice."""
    page = reverse("invoicing:invoice", args=[invoice_id])
    pay = {"workflow": "pay_invoice", "input": {"invoice": invoice_id}, "schema": Payment}
    void = {"workflow": "void_invoice", "input": {"invoice": invoice_id}}
    return [
        {"type": "link", "label": "Open invoice", "url": page},
        {"type": "form", "label": "Mark as paid", **pay},
        {"type": "button", "label": "Void it", **void},
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
    if "method" in ctx.input:
        # Who used the action has filled the form in already.
        payment = Payment.model_validate(ctx.input)
    else:
        payment = ctx.form(f"How was invoice {found.number} paid?", Payment)
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
    prompt = f"Void invoice {found.number}? This can't be undone."
    approval = ctx.approve(prompt, details=found.details)
    reason = approval.reason
    if not approval.approved:
        return f"Invoice {found.number} stays as it is{f' ({reason})' if reason else ''}."
    problem = ctx.step("Voiding the invoice", mark_void, ctx.user.pk, found.id, reason, atomic=True)
    return problem or f"Invoice {found.number} is void."


def _find(ctx: Context) -> Found:
    given, said = ctx.input.get("invoice"), ctx.message
    if given is None and not NUMBER.search(said):
        said = ctx.ask("Which invoice? Say its number, such as INV-000001.") or ""
    return ctx.step("Looking up the invoice", find_invoice, ctx.user.pk, given, said)


def find_invoice(owner_id: Any, invoice_id: str | None, said: str) -> Found:
    """Find one of the owner's invoices, by its id or else in words that have its number."""
    named = NUMBER.search(said)
    key = {"number": named[0].upper()} if named else {"pk": None}
    mine = Invoice.objects.filter(owner_id=owner_id).select_related("customer")
    invoice = mine.filter(**(key if invoice_id is None else {"pk": invoice_id})).first()
    if invoice is None:
        return Found(problem="You have no such invoice.")
    if invoice.status != "open":
        return Found(problem=f"Invoice {invoice.number} is {invoice.status} already.")
    customer, total = invoice.customer.name, format_money(invoice.total)
    details = {"Invoice": invoice.number, "Customer": customer, "Total": total}
    return Found(id=str(invoice.pk), number=invoice.number, details=details)


def mark_paid(owner_id: Any, invoice_id: str, payment: Payment) -> str:
    """Note the payment. Returns why not, or nothing."""
    paid = {"payment_method": payment.method, "payment_note": payment.note}
    return _settle(owner_id, invoice_id, paid_at=Now(), **paid)


def mark_void(owner_id: Any, invoice_id: str, reason: str) -> str:
    """Declare the invoice void. Returns why not, or nothing."""
    return _settle(owner_id, invoice_id, voided_at=Now(), void_reason=reason)


def _settle(owner_id: Any, invoice_id: str, **fields: Any) -> str:
    still_open = Invoice.objects.filter(
        owner_id=owner_id, pk=invoice_id, paid_at=None, voided_at=None
    )
    return "" if still_open.update(**fields) else "Meanwhile the invoice was settled otherwise."

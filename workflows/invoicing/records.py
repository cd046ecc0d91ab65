"""The steps that touch the database: finding matches for names, and saving the invoice."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Manager, Value
from django.db.models.functions import Lower, Now

from workflows.invoicing.drafts import Draft, Known, Matches
from workflows.invoicing.models import Customer, Invoice, InvoiceCounter, InvoiceLine, Product
from workflows.invoicing.names import match

M = TypeVar("M", Customer, Product)


@dataclass(kw_only=True)
class Saved:
    """The outcome of saving; *problem* says why nothing was written."""

    id: str = ""
    number: str = ""
    problem: str = ""


def find_customer(owner_id: Any, name: str) -> Matches:
    """Find the owner's customers that *name* may mean."""
    rows = Customer.objects.filter(owner_id=owner_id).order_by("pk")
    known = [Known(id=pk, name=its) for pk, its in rows.values_list("pk", "name")]
    return match(name, known)


def find_products(owner_id: Any, typed: list[str]) -> list[Matches]:
    """Find the owner's products that each of the *typed* names may mean, in their order."""
    rows = Product.objects.filter(owner_id=owner_id).order_by("pk")
    known = [
        Known(id=pk, name=its, price=str(price))
        for pk, its, price in rows.values_list("pk", "name", "price")
    ]
    return [match(name, known, plurals=True) for name in typed]


def save_invoice(owner_id: Any, draft: Draft) -> Saved:
    """Write the invoice, with the customer and the products that are new.

    All of it happens in one atomic step after the user's last yes: nothing is left over when the
    user cancels before, and no invoice is ever without its customer.
    """
    new = draft.customer
    contact = {"email": new.email, "phone": new.phone, "billing_address": new.billing_address}
    customer = _get(Customer.objects, owner_id, new.id, name=new.name, **contact)
    if customer is None:
        return Saved(problem=f"The customer {new.name} is not there any more.")
    number = InvoiceCounter.next_number(owner_id)
    invoice = Invoice.objects.create(
        owner_id=owner_id,
        number=number,
        customer=customer,
        total=draft.total,
        created_at=Now(),
    )
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=invoice,
            position=position,
            # None when it was deleted meanwhile: the line can do without.
            product=_get(
                Product.objects, owner_id, line.product_id, name=line.name, price=line.price
            ),
            description=line.name,
            quantity=line.quantity,
            unit_price=line.price,
            total=line.total,
        )
        for position, line in enumerate(draft.lines, 1)
    )
    return Saved(id=str(invoice.pk), number=number)


def _get(rows: Manager[M], owner_id: Any, pk: int | None, *, name: str, **new: Any) -> M | None:
    """Return the owner's row with the key *pk*, or where that is None the one called *name*."""
    mine = rows.filter(owner_id=owner_id)
    if pk is not None:
        return mine.filter(pk=pk).first()
    # Compares as the unique constraint does, with the database's own idea of lower case. Another
    # conversation of this user may have created it since this one asked.
    named = mine.alias(lower_name=Lower("name")).filter(lower_name=Lower(Value(name)))
    row, _ = named.get_or_create(defaults={"owner_id": owner_id, "name": name, **new})
    return row

"""The steps that touch the database: finding what the user means, and saving the invoice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower

from examples.invoicing import drafts
from examples.invoicing.matching import (
    customer_core,
    customer_key,
    exact,
    product_key,
    rank,
)
from examples.invoicing.models import (
    Customer,
    Invoice,
    InvoiceCounter,
    InvoiceLine,
    Product,
)

M = TypeVar("M", Customer, Product)


@dataclass(kw_only=True)
class Match:
    """A customer or a product; one without an id is yet to be created."""

    id: int | None = None
    name: str
    # A product's price, as text.
    price: str | None = None


@dataclass(kw_only=True)
class Matches:
    """Who or what a name may mean: the one it names, or else similar ones, the best first."""

    exact: Match | None = None
    similar: list[Match] = field(default_factory=list)


@dataclass(kw_only=True)
class Saved:
    """The outcome of saving; *problem* says why nothing was written."""

    id: str = ""
    number: str = ""
    problem: str = ""


def find_customer(owner_id: Any, name: str) -> Matches:
    """Find the owner's customers that *name* may mean."""
    rows = Customer.objects.filter(owner_id=owner_id).order_by("pk").values_list("pk", "name")
    known = [Match(id=pk, name=known_name) for pk, known_name in rows]
    if found := exact(name, known, _name, customer_key):
        return Matches(exact=found)
    return Matches(similar=rank(name, known, _name, customer_core))


def find_products(owner_id: Any, names: list[str]) -> list[Matches]:
    """Find the owner's products that each of *names* may mean, in their order."""
    rows = Product.objects.filter(owner_id=owner_id).order_by("pk")
    known = [
        Match(id=pk, name=name, price=str(price))
        for pk, name, price in rows.values_list("pk", "name", "price")
    ]
    return [_match_product(name, known) for name in names]


def _match_product(name: str, known: Sequence[Match]) -> Matches:
    if found := exact(name, known, _name, product_key):
        return Matches(exact=found)
    return Matches(similar=rank(name, known, _name, product_key))


def _name(match: Match) -> str:
    return match.name


def save_invoice(owner_id: Any, draft: drafts.Draft) -> Saved:
    """Write the invoice, with the customer and the products that are new.

    All of it happens in one atomic step after the user's last yes: nothing is left over when the
    user cancels before, and no invoice is ever without its customer.
    """
    customer = _customer(owner_id, draft.customer)
    if customer is None:
        return Saved(problem=f"The customer {draft.customer.name} is not there any more.")
    invoice = Invoice.objects.create(
        owner_id=owner_id,
        number=InvoiceCounter.next_number(owner_id),
        customer=customer,
        total=draft.total,
    )
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=invoice,
            position=position,
            product=_product(owner_id, line),
            description=line.name,
            quantity=line.quantity,
            unit_price=line.price,
            total=line.total,
        )
        for position, line in enumerate(draft.lines, 1)
    )
    return Saved(id=str(invoice.pk), number=invoice.number)


def _customer(owner_id: Any, draft: drafts.Customer) -> Customer | None:
    mine = Customer.objects.filter(owner_id=owner_id)
    if draft.id is not None:
        return mine.filter(pk=draft.id).first()
    # Another conversation of this user may have created it since this one asked.
    customer, _ = _named(mine, draft.name).get_or_create(
        defaults={
            "owner_id": owner_id,
            "name": draft.name,
            "email": draft.email,
            "phone": draft.phone,
            "billing_address": draft.billing_address,
        }
    )
    return customer


def _product(owner_id: Any, line: drafts.Line) -> Product | None:
    """Return the line's product; None when it was deleted meanwhile: the line can do without."""
    mine = Product.objects.filter(owner_id=owner_id)
    if line.product_id is not None:
        return mine.filter(pk=line.product_id).first()
    product, _ = _named(mine, line.name).get_or_create(
        defaults={"owner_id": owner_id, "name": line.name, "price": line.price}
    )
    return product


def _named(rows: QuerySet[M], name: str) -> QuerySet[M]:
    # Compares as the unique constraint does, with the database's own idea of lower case.
    return rows.alias(lower_name=Lower("name")).filter(lower_name=Lower(Value(name)))

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import RestrictedError

from workflows.invoicing import drafts
from workflows.invoicing.drafts import Known, Matches
from workflows.invoicing.models import (
    Customer,
    Invoice,
    InvoiceCounter,
    InvoiceLine,
    Product,
)
from workflows.invoicing.records import Saved, find_customer, find_products, save_invoice


def make_draft(name: str = "Acme", *, customer_id: int | None = None) -> drafts.Draft:
    return drafts.Draft(
        customer=drafts.Customer(id=customer_id, name=name, email="office@acme.test"),
        lines=[drafts.Line(name="Laptop", quantity=Decimal("2.5"), price=Decimal("0.99"))],
    )


def save(owner: Any, draft: drafts.Draft) -> Saved:
    with transaction.atomic():
        return save_invoice(owner.pk, draft)


@pytest.mark.django_db
def test_it_works(alice: Any) -> None:
    saved = save(alice, make_draft())
    invoice = Invoice.objects.get(pk=saved.id)
    assert (invoice.number, invoice.total) == ("INV-000001", Decimal("2.48"))
    assert (invoice.customer.owner, invoice.lines.get().product) == (alice, Product.objects.get())


@pytest.mark.django_db
def test_a_failed_save_gives_its_number_back(alice: Any, monkeypatch: Any) -> None:
    save(alice, make_draft())
    with monkeypatch.context() as patch:
        patch.setattr(InvoiceLine.objects, "bulk_create", lambda rows: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save(alice, make_draft("Other"))
    assert not Customer.objects.filter(name="Other").exists()
    assert save(alice, make_draft()).number == "INV-000002"


@pytest.mark.django_db
def test_anothers_customer_is_never_used(alice: Any, bob: Any, acme: Customer) -> None:
    assert save(bob, make_draft(customer_id=acme.pk)).problem
    assert not Invoice.objects.exists()
    assert not InvoiceCounter.objects.exists()


def together(work: Callable[[], Saved], times: int) -> list[Saved]:
    def run(_: int) -> Saved:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(run, range(times)))


@pytest.mark.django_db(transaction=True)
def test_invoices_at_the_same_time_get_numbers_without_a_gap(alice: Any) -> None:
    saved = together(lambda: save(alice, make_draft()), 12)
    assert sorted(one.number for one in saved) == [f"INV-{n:06d}" for n in range(1, 13)]
    # All of them met the same new customer and product.
    assert Customer.objects.count() == Product.objects.count() == 1


@pytest.mark.django_db
def test_finding_is_limited_to_the_owner(
    alice: Any, bob: Any, acme: Customer, laptop: Product
) -> None:
    assert find_customer(alice.pk, "acme") == Matches(exact=Known(id=acme.pk, name="Acme"))
    assert find_customer(bob.pk, "acme") == Matches()
    known = Known(id=laptop.pk, name="Laptop", price="1200.00")
    assert find_products(alice.pk, ["laptops", "lap-tops", "hat"]) == [
        Matches(exact=known),
        Matches(similar=[known]),
        Matches(),
    ]
    assert find_products(bob.pk, ["laptops"]) == [Matches()]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "write",
    [
        lambda owner: Customer.objects.create(owner=owner, name="ACME"),
        lambda owner: Product.objects.create(owner=owner, name="LAPTOP", price=1),
        lambda owner: Product.objects.create(owner=owner, name="Hat", price=-1),
        lambda owner: Invoice.objects.create(
            owner=owner, number="INV-000001", customer=owner.customers.get(), total=0
        ),
        lambda owner: Invoice.objects.create(
            owner=owner, number="INV-000002", customer=owner.customers.get(), total=-1
        ),
        lambda owner: InvoiceLine.objects.update(quantity=0),
        lambda owner: InvoiceLine.objects.update(quantity=1_000_001),
        lambda owner: InvoiceLine.objects.update(unit_price=-1),
    ],
)
def test_the_database_refuses(alice: Any, write: Callable[[Any], object]) -> None:
    save(alice, make_draft())
    with pytest.raises(IntegrityError), transaction.atomic():
        write(alice)


@pytest.mark.django_db
def test_a_customer_with_invoices_stays_but_a_user_can_go(alice: Any) -> None:
    save(alice, make_draft())
    with pytest.raises(RestrictedError):
        Customer.objects.get().delete()
    alice.delete()
    assert not Invoice.objects.exists()


@pytest.mark.django_db
def test_the_largest_invoice_keeps_its_cents(alice: Any) -> None:
    draft = make_draft()
    draft.lines = [
        drafts.Line(name="A", quantity=Decimal("9999"), price=Decimal("99999999.99")),
        drafts.Line(name="B", quantity=Decimal("1"), price=Decimal("99999999.99")),
    ]
    saved = save(alice, draft)
    assert str(Invoice.objects.get(pk=saved.id).total) == "999999999900.00"

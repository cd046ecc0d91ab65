import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from workflows.invoicing.models import Customer, Invoice, InvoiceLine

pytestmark = pytest.mark.django_db


@pytest.fixture
def invoice(alice: Any) -> Invoice:
    customer = Customer.objects.create(
        owner=alice, name="<b>Acme</b>", email="a@acme.test", billing_address="Main St 1\nTown"
    )
    invoice = Invoice.objects.create(
        owner=alice, number="INV-000001", customer=customer, total=3600
    )
    InvoiceLine.objects.create(
        invoice=invoice,
        position=1,
        description="<i>Laptop</i>",
        quantity=Decimal("2.5"),
        unit_price=1440,
        total=3600,
    )
    return invoice


def test_it_works(client: Client, alice: Any, invoice: Invoice) -> None:
    client.force_login(alice)
    response = client.get(f"/invoices/{invoice.pk}/")
    assert response.status_code == 200
    page = response.content.decode()
    assert "Invoice INV-000001" in page
    assert "&lt;b&gt;Acme&lt;/b&gt;" in page
    assert "&lt;i&gt;Laptop&lt;/i&gt;" in page
    assert "Main St 1<br>Town" in page
    for number in (">2.5<", ">1,440.00<", ">3,600.00<"):
        assert number in page
    assert "style=" not in page


@pytest.mark.parametrize("path", ["", f"{uuid.UUID(int=1)}/"])
def test_visitors_are_asked_to_sign_in(client: Client, path: str) -> None:
    response = client.get(f"/invoices/{path}")
    assert response.status_code == 302
    assert f"next=/invoices/{path}" in response.headers["Location"]


def test_anothers_invoice_is_unknown(client: Client, bob: Any, invoice: Invoice) -> None:
    client.force_login(bob)
    assert client.get(f"/invoices/{invoice.pk}/").status_code == 404
    assert client.get(f"/invoices/{uuid.uuid4()}/").status_code == 404
    assert client.get("/invoices/1/").status_code == 404


def test_only_looking(client: Client, alice: Any, invoice: Invoice) -> None:
    client.force_login(alice)
    assert client.post(f"/invoices/{invoice.pk}/").status_code == 405


def test_the_list_shows_ones_own(client: Client, alice: Any, bob: Any, invoice: Invoice) -> None:
    client.force_login(alice)
    page = client.get("/invoices/").content.decode()
    assert f'href="/invoices/{invoice.pk}/"' in page
    assert "&lt;b&gt;Acme&lt;/b&gt;" in page
    client.force_login(bob)
    page = client.get("/invoices/").content.decode()
    assert "INV-000001" not in page
    assert "There are no invoices yet" in page


@pytest.mark.parametrize("page", ["2", "999", "x", "-1"])
def test_pages(client: Client, alice: Any, invoice: Invoice, page: str) -> None:
    for number in range(2, 30):
        Invoice.objects.create(
            owner=alice, number=f"INV-{number:06d}", customer=invoice.customer, total=1
        )
    client.force_login(alice)
    response = client.get("/invoices/", {"page": page})
    assert response.status_code == 200
    assert "of 2" in response.content.decode()


def test_the_list_takes_few_queries(
    client: Client, alice: Any, invoice: Invoice, django_assert_max_num_queries: Any
) -> None:
    client.force_login(alice)
    with django_assert_max_num_queries(4):
        client.get("/invoices/")


@pytest.mark.parametrize("model", ["customer", "product", "invoice"])
def test_the_admin_lists_and_searches(admin_client: Client, invoice: Invoice, model: str) -> None:
    response = admin_client.get(f"/admin/invoicing/{model}/", {"q": "a"})
    assert response.status_code == 200


def test_invoices_are_read_only_in_the_admin(admin_client: Client, invoice: Invoice) -> None:
    url = f"/admin/invoicing/invoice/{invoice.pk}"
    page = admin_client.get(f"{url}/change/").content.decode()
    assert "&lt;i&gt;Laptop&lt;/i&gt;" in page
    assert 'name="_save"' not in page
    assert admin_client.get("/admin/invoicing/invoice/add/").status_code == 403
    assert admin_client.post(f"{url}/delete/", {"post": "yes"}).status_code == 403

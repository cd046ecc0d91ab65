"""create_invoice as the engine runs it: one job for each message."""

from collections.abc import Callable
from typing import Any

import pytest

from chatflow.workflows import services
from chatflow.workflows.models import Job
from workflows.invoicing.models import Customer, Invoice, Product

pytestmark = pytest.mark.django_db(transaction=True)

Say = Callable[[str], Job]


@pytest.fixture
def say(alice: Any) -> Say:
    def say(text: str) -> Job:
        started = services.start(alice, text, session_key="invoices", mode="sync")
        return services.run_inline(started.job)

    return say


def test_it_works(say: Say) -> None:
    assert say("create invoice").response == "Which customer is the invoice for?"
    for message in ("Acme", "yes", "acme", "office@acme.test", "skip", "Main St 1\nTown"):
        assert say(message).state == "completed"
    for message in (
        "2 x Desk Lamp @ 49.90 and 1 chair at 80",
        "yes",
        "change the lamp quantity to 3",
    ):
        summary = say(message)
    assert "3 × Desk Lamp at 49.90 = 149.70" in summary.response
    assert summary.awaiting is not None
    assert summary.awaiting["kind"] == "confirm"
    assert not Customer.objects.exists()

    job = say("yes")
    invoice = Invoice.objects.get()
    assert job.response == "Invoice INV-000001 for Acme over 229.70 is ready."
    assert job.actions[0]["url"] == f"/invoices/{invoice.pk}/"
    assert job.awaiting is None
    assert invoice.customer.billing_address == "Main St 1\nTown"


def test_a_choice(say: Say, alice: Any, laptop: Product) -> None:
    for name in ("Acme Corp", "Acme Ltd"):
        Customer.objects.create(owner=alice, name=name, email="a@acme.test")
    job = say("Create invoice for Acme with 3 laptops")
    assert job.awaiting is not None
    assert [choice["label"] for choice in job.awaiting["choices"]] == [
        "Acme Corp",
        "Acme Ltd",
        "Create new",
    ]
    assert "Invoice for Acme Ltd" in say("Acme Ltd").response
    assert "Invoice INV-000001 for Acme Ltd" in say("yes").response


def test_the_notebook_is_no_yes(say: Say, alice: Any, acme: Customer) -> None:
    Product.objects.create(owner=alice, name="Notebook", price=5)
    say("Create invoice for Acme with 10 notebooks")
    job = say("change the notebook quantity to 3")
    assert "3 × Notebook at 5.00 = 15.00" in job.response
    assert not Invoice.objects.exists()
    assert say("no").response == "Nothing was created."
    assert not Invoice.objects.exists()


def test_cancel_closes_the_question(say: Say, acme: Customer, laptop: Product) -> None:
    say("Create invoice for Acme with 3 laptops")
    say("cancel")
    say("yes")
    assert not Invoice.objects.exists()

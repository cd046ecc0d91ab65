"""What becomes of an invoice, through what its answer offers."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import services
from chatflow.workflows.models import ApprovalRequest, Job
from chatflow.workflows.services import offers
from workflows.invoicing.models import Customer, Invoice
from workflows.invoicing.settlement import Payment, mark_paid, mark_void

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ready(alice: User, acme: Customer) -> Job:
    """The job that has made an invoice for Acme."""
    say(alice, "Create invoice for Acme with 3 laptops at 1200")
    while (job := say(alice, "yes")).awaiting:
        pass
    return job


def say(user: User, text: str, **options: Any) -> Job:
    return services.run_inline(
        services.start(user, text, session_key="s", mode="sync", **options).job
    )


def use(user: User, job: Job, label: str, **data: Any) -> Job:
    (action,) = [action for action in job.actions if action["label"] == label]
    started = offers.act(user, "s", action["id"], data=data or None, mode="sync")
    return services.run_inline(started.job)


def test_it_is_paid(alice: User, ready: Job) -> None:
    job = use(alice, ready, "Mark as paid", method="card", note="thanks")

    assert job.response == "Invoice INV-000001 is marked as paid by card."
    invoice = Invoice.objects.get()
    assert (invoice.status, invoice.payment_method, invoice.payment_note) == (
        "paid",
        "card",
        "thanks",
    )
    assert use(alice, ready, "Void it").response == "Invoice INV-000001 is paid already."


def test_it_is_void_after_an_approval(alice: User, ready: Job) -> None:
    asked = use(alice, ready, "Void it")
    assert asked.awaiting is not None
    assert asked.awaiting["details"] == {
        "Invoice": "INV-000001",
        "Customer": "Acme",
        "Total": "3,600.00",
    }
    assert Invoice.objects.get().status == "open"

    assert say(alice, "yes because it was a test").response == "Invoice INV-000001 is void."
    assert Invoice.objects.get().void_reason == "it was a test"
    assert ApprovalRequest.objects.get().by == "alice"


def test_it_stays(alice: User, ready: Job) -> None:
    use(alice, ready, "Void it")

    assert say(alice, "no, keep it").response == "Invoice INV-000001 stays as it is (keep it)."
    assert Invoice.objects.get().status == "open"


def test_by_its_number(alice: User, ready: Job) -> None:
    asked = say(alice, "That one was paid", workflow="pay_invoice")
    assert asked.response.startswith("Which invoice?")
    assert say(alice, "inv-000001").response == "How was invoice INV-000001 paid?"

    job = say(alice, '{"method": "cash"}')
    assert job.response == "Invoice INV-000001 is marked as paid by cash."


@pytest.mark.parametrize("number", ["INV-000009", "the last one", "-" * 36])
def test_no_such_invoice(alice: User, ready: Job, number: str) -> None:
    say(alice, "void one", workflow="void_invoice")

    assert say(alice, number).response == "You have no such invoice."


def test_somebody_elses(bob: User, ready: Job) -> None:
    job = say(bob, "INV-000001 is paid", workflow="pay_invoice")

    assert job.response == "You have no such invoice."


def test_only_one_of_the_two(alice: User, ready: Job) -> None:
    invoice = Invoice.objects.get()
    assert invoice.total == Decimal(3600)
    assert mark_void(alice.pk, str(invoice.pk), "gone") == ""
    assert mark_paid(alice.pk, str(invoice.pk), Payment(method="cash", note="")) != ""
    assert Invoice.objects.get().status == "void"

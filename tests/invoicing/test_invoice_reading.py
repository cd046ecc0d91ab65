"""create_invoice with a language model that reads, and without: the same comes of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings

from chatflow.workflows import services
from chatflow.workflows.models import Job
from tests.configure import configure
from tests.openai_server import OpenAIServer, error, output
from workflows.invoicing.models import Customer, Invoice, Product

pytestmark = pytest.mark.django_db(transaction=True)

Say = Callable[[str], Job]

MESSAGE = "Create invoice for Acme with 3 laptops at 1200"
READ = output(
    customer="Acme",
    items=[{"name": "laptops", "quantity": "3", "price": "1200", "unclear_price": False}],
)


@pytest.fixture
def say(alice: Any) -> Say:
    def say(text: str) -> Job:
        started = services.start(alice, text, session_key="invoices", mode="sync")
        return services.run_inline(started.job)

    return say


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Any:
    with OpenAIServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.parametrize("model", ["offline", "openai:gpt-4o-mini", "openai-chat:gpt-4o-mini"])
def test_it_works(
    say: Say,
    settings: LazySettings,
    server: OpenAIServer,
    acme: Customer,
    laptop: Product,
    model: str,
) -> None:
    configure(settings, AI_MODEL=model)
    server.script = [READ]

    summary, done = say(MESSAGE), say("yes")

    assert "1. 3 × Laptop at 1,200.00 = 3,600.00" in summary.response
    assert done.response == "Invoice INV-000001 for Acme over 3,600.00 is ready."
    line = Invoice.objects.get().lines.get()
    assert line.product == laptop
    assert [line.quantity, line.unit_price] == [3, 1200]
    # One request reads the message; the turn that answers "yes" makes none.
    assert len(server.requests) == (0 if model == "offline" else 1)
    assert (summary.usage["models"], done.usage) == ([model.partition(":")[2] or "offline"], {})


def test_the_rules_stand_in_for_a_provider_that_is_out(
    say: Say, settings: LazySettings, server: OpenAIServer, acme: Customer, laptop: Product
) -> None:
    configure(settings, AI_MODEL="openai:gpt-4o-mini", AI_FALLBACK_MODELS=["offline"])
    server.script = [error(401)]

    assert "1. 3 × Laptop at 1,200.00 = 3,600.00" in say(MESSAGE).response


def test_what_the_model_leaves_open_is_asked(
    say: Say, settings: LazySettings, server: OpenAIServer, acme: Customer, laptop: Product
) -> None:
    configure(settings, AI_MODEL="openai:gpt-4o-mini")
    server.script = [output(customer="", items=[{"name": "laptops"}])]

    assert say("An invoice for some laptops").response == "Which customer is the invoice for?"
    assert say("Acme").response == "How many of “Laptop” should be on the invoice?"


def test_nonsense_of_the_model_is_asked_again(
    say: Say, settings: LazySettings, server: OpenAIServer, acme: Customer, laptop: Product
) -> None:
    """What a model read is checked like what a user typed."""
    configure(settings, AI_MODEL="openai:gpt-4o-mini")
    server.script = [output(customer="Acme", items=[{"name": "laptops", "quantity": "-3"}])]

    job = say("An invoice for Acme with laptops")

    assert job.response.endswith("How many of “Laptop” should be on the invoice?")
    assert not Invoice.objects.exists()

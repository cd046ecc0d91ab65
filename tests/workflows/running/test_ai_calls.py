"""ctx.ai, with the models that need no server."""

from dataclasses import dataclass

import pytest

from chatflow.workflows import Context
from chatflow.workflows.exceptions import Cancelled
from chatflow.workflows.models import State
from chatflow.workflows.running.attempt import Attempt
from tests.workflows.chat import Chat, Crashes, resume, streamed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def test_it_works(chat: Chat) -> None:
    job = chat.begin(lambda ctx: ctx.ai("Who are you?"))

    assert "I am Chatflow's offline model: no language model is connected" in job.response
    assert job.usage == {
        "requests": 1,
        "input_tokens": 0,
        "output_tokens": 0,
        "models": ["offline"],
    }


def test_calls_of_the_model(chat: Chat) -> None:
    asked: list[str] = []
    crashes = Crashes("end")

    def answer(words: str) -> str:
        asked.append(words)
        return words.upper()

    def work(ctx: Context) -> str:
        first = ctx.ai("one", offline=answer)
        second = ctx.step("Think", lambda: ctx.ai("two", offline=answer))
        crashes.at("end")
        return first + second

    job = resume(chat.begin(work, max_ai_calls=2))
    assert (job.response, asked) == ("ONETWO", ["one", "two"])

    job = chat.begin(work, max_ai_calls=1)
    assert (job.state, job.code) == (State.FAILED, "ai_budget")
    assert asked == ["one", "two", "one"]


@dataclass
class Order:
    product: str
    count: int


def test_a_type_is_filled_by_the_rule(chat: Chat) -> None:
    def read(words: str) -> Order:
        count, product = words.split()
        return Order(product, int(count))

    def work(ctx: Context) -> str:
        order = ctx.ai("3 lamps", output_type=Order, offline=read)
        return f"{order!r}"

    assert chat.begin(work).response == "Order(product='lamps', count=3)"


def test_a_type_without_a_rule_is_refused(chat: Chat) -> None:
    job = chat.begin(lambda ctx: str(ctx.ai("3 lamps", output_type=Order)))

    assert (job.state, job.code) == (State.FAILED, "ai_offline")
    assert job.error == "This needs a language model, and none is connected."


def test_words_are_shown(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        return ctx.ai("Hello", offline=lambda words: f"{words} to you too.", show=True)

    job = chat.begin(work)

    assert job.response == streamed(job) == "Hello to you too."


@pytest.mark.django_db(transaction=True)
def test_in_an_async_workflow(chat: Chat) -> None:
    async def work(ctx: Context) -> str:
        return await ctx.aai("Hello", offline=str.upper, show=True)

    job = chat.begin(work)

    assert job.response == streamed(job) == "HELLO"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_nothing_strikes_while_a_provider_is_imported(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    """Half a module would stay in its process for good."""
    attempts: list[Attempt] = []
    imported: list[str] = []

    def models(name: str, rule: object) -> list[object]:
        attempts[0].stop(Cancelled())
        # As the signal does it.
        attempts[0].check()
        imported.append("all of it")
        return []

    def work(ctx: Context) -> str:
        attempts.append(ctx.record.attempt)
        return ctx.ai("Hello")

    async def awork(ctx: Context) -> str:
        attempts.append(ctx.record.attempt)
        return await ctx.aai("Hello")

    monkeypatch.setattr("chatflow.workflows.ai.calls.find_models", models)
    job = chat.begin(awork if asynchronous else work)

    assert (job.state, imported) == (State.CANCELLED, ["all of it"])

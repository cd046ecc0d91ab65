"""The requests of one call, without a model."""

from typing import Any

import pytest

from chatflow.workflows import Context
from chatflow.workflows.exceptions import BudgetExceeded
from chatflow.workflows.models import State, Step
from chatflow.workflows.running.model_requests import AI_STEP, Requests, list_requests
from tests.workflows.chat import Chat, Crashes, resume, streamed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

USAGE = {"model": "m", "input_tokens": 2, "output_tokens": 3}


def nothing() -> None:
    """Count no request."""


def request(requests: Requests, *words: str) -> dict[str, Any]:
    """Make a request whose answer brings *words*, unless it is recorded; return the answer."""
    recorded = requests.begin()
    if recorded is not None:
        return recorded
    for word in words:
        requests.show(word)
    requests.record({"words": list(words)}, USAGE)
    return {"words": list(words)}


def test_it_works(chat: Chat) -> None:
    """An answer that is recorded comes again: it isn't counted, shown or added up twice."""
    crashes = Crashes("end")
    spent: list[int] = []

    def work(ctx: Context) -> None:
        requests = Requests(ctx.record, lambda: spent.append(1))
        assert request(requests, "Hello", " there") == {"words": ["Hello", " there"]}
        crashes.at("end")

    job = resume(chat.begin(work))

    assert (job.state, job.attempt, len(spent)) == (State.COMPLETED, 2, 1)
    assert job.response == streamed(job) == "Hello there"
    assert (job.usage["requests"], job.usage["input_tokens"]) == (1, 2)


@pytest.mark.parametrize("place", ["between", "never"])
def test_the_words_of_two_answers_stand_apart(chat: Chat, place: str) -> None:
    crashes = Crashes("between")

    def work(ctx: Context) -> None:
        requests = Requests(ctx.record, nothing)
        request(requests, "I look.")
        crashes.at(place)
        request(requests)
        request(requests, "It is", " here.")

    job = chat.begin(work)
    if place == "between":
        resume(job)

    assert job.response == streamed(job) == "I look.\n\nIt is here."


def test_a_request_that_may_not_be_made(chat: Chat) -> None:
    def refuse() -> None:
        raise BudgetExceeded

    job = chat.begin(lambda ctx: request(Requests(ctx.record, refuse), "never"))

    assert (job.state, job.code, streamed(job)) == (State.FAILED, "ai_budget", "")
    assert not Step.objects.exists()


def test_a_rule_takes_steps_of_its_own(chat: Chat) -> None:
    def work(ctx: Context) -> str:
        requests = Requests(ctx.record, nothing)
        rule = requests.as_rule(lambda words: ctx.step("Look up", str.upper, words))
        assert rule is not None
        requests.begin()
        answer = rule("a")
        requests.record({"answer": answer}, USAGE)
        assert [step.name for step in list_requests(ctx.record)] == [AI_STEP]
        return str(answer)

    assert chat.begin(work).response == "A"
    assert [step.name for step in Step.objects.order_by("id")] == [
        f"{AI_STEP}#1 > Look up",
        AI_STEP,
    ]

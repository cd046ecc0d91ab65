"""Daily budgets of users."""

import json
import threading
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.utils import timezone

from chatflow.workflows.ai import budget
from chatflow.workflows.exceptions import DailyBudgetExceeded
from chatflow.workflows.models import DailyUsage
from chatflow.workflows.store import pruning
from tests.configure import configure
from tests.openai_server import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Answer,
    OpenAIServer,
    error,
    garbage,
    stream,
    text,
)
from tests.workflows.ai.test_recorded import hello, shown
from tests.workflows.chat import Chat, at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def test_it_works(chat: Chat, server: OpenAIServer, settings: LazySettings, bob: User) -> None:
    configure(settings, AI_DAILY_REQUESTS=1)
    server.script = [text("One."), text("Bob's.")]

    assert chat.begin(hello).response == "One."
    refused = chat.say(workflow="w")

    assert (refused.code, len(server.requests)) == ("ai_budget", 1)
    assert refused.error == (
        "Your budget for the AI model is used up for today. Please try again tomorrow."
    )
    assert Chat(bob).say(workflow="w").response == "Bob's."


def test_tokens_are_settled(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    configure(settings, AI_DAILY_TOKENS=1500)
    server.script = [text("One."), text("Two.")]

    chat.begin(hello)
    assert DailyUsage.objects.get().tokens == INPUT_TOKENS + OUTPUT_TOKENS

    # The tokens of a response are set aside: a thousand must be left.
    chat.say(workflow="w")
    DailyUsage.objects.update(tokens=501)
    assert chat.say(workflow="w").code == "ai_budget"


def test_a_refused_request_takes_nothing(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_DAILY_TOKENS=1500)
    server.script = [error(400)]

    assert chat.begin(hello).code == "ai_rejected"
    row = DailyUsage.objects.get()
    assert (row.requests, row.tokens) == (0, 0)


def test_what_a_provider_may_count_stays_reserved(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    """Else it would be free to make the model think for longer than AI_TIMEOUT."""
    configure(settings, AI_DAILY_TOKENS=1500)
    configure(settings, AI_TIMEOUT=0.3)
    never = threading.Event()
    server.script = [Answer(text="Too late.", stall=never)]

    assert chat.begin(hello).code == "ai_unavailable"
    row = DailyUsage.objects.get()
    assert (row.requests, row.tokens >= budget.RESPONSE_TOKENS) == (1, True)
    never.set()


@pytest.mark.parametrize(
    "broken",
    [
        Answer(text="It is cut off.", cut=3),
        stream(
            {"choices": [{"index": 0, "delta": {"content": "It"}}]},
            {"error": {"message": "Provider disconnected", "code": 502}},
        ),
    ],
    ids=["cut", "error"],
)
def test_an_answer_that_breaks_off_is_counted(
    chat: Chat, server: OpenAIServer, settings: LazySettings, broken: Answer
) -> None:
    """Each try: no more requests are made than there may be."""
    configure(settings, AI_DAILY_REQUESTS=2)
    server.script = [broken] * 9

    codes = [chat.begin(shown).code for _ in range(3)]

    assert (codes, len(server.requests)) == (["ai_budget"] * 3, 2)
    assert DailyUsage.objects.get().requests == 2


def test_a_try_that_was_refused_is_given_back(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_DAILY_REQUESTS=1)
    server.script = [error(500), error(429, Retry_After="0"), text("One.")]

    assert chat.begin(hello).response == "One."
    row = DailyUsage.objects.get()
    assert (row.requests, row.tokens) == (1, INPUT_TOKENS + OUTPUT_TOKENS)


def test_a_request_that_was_not_sent_takes_nothing(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_DAILY_REQUESTS=1)
    server.__exit__()

    assert chat.begin(hello).code == "ai_unavailable"
    assert DailyUsage.objects.get().requests == 0


def test_the_offline_model_gives_nothing_back(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_DAILY_TOKENS=9000)
    configure(settings, AI_FALLBACK_MODELS=["offline"])
    server.script = [Answer(text="It is cut off.", cut=3)] * 3

    assert "offline model" in chat.begin(shown).response
    assert DailyUsage.objects.get().tokens >= 3 * budget.RESPONSE_TOKENS


def test_a_provider_that_does_not_count(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    """The reservation stands for the usage."""
    configure(settings, AI_DAILY_TOKENS=1500)
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "1"}}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    server.script = [garbage(json.dumps(answer | {"choices": [choice]}).encode())]

    assert chat.begin(hello).response == "1"
    assert DailyUsage.objects.get().tokens >= budget.RESPONSE_TOKENS
    assert chat.say(workflow="w").code == "ai_budget"


def test_no_limit_keeps_no_account(chat: Chat, server: OpenAIServer) -> None:
    server.script = [text("One.")]
    chat.begin(hello)

    assert not DailyUsage.objects.exists()


def test_the_offline_model_costs_nothing(chat: Chat, settings: LazySettings) -> None:
    configure(settings, AI_DAILY_TOKENS=1500)
    configure(settings, AI_DAILY_REQUESTS=1)

    assert [chat.begin(hello).code for _ in range(3)] == ["", "", ""]


def test_pruning_forgets_old_days(alice: User) -> None:
    today = timezone.now().date()
    for days in (0, 10):
        DailyUsage.objects.create(user=alice, day=today - timedelta(days=days))

    pruning.prune(days=7)

    assert [row.day for row in DailyUsage.objects.all()] == [today]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_no_more_than_there_is(alice: User, settings: LazySettings) -> None:
    configure(settings, AI_DAILY_REQUESTS=3)

    def reserve(number: int) -> budget.Reservation | None:
        return budget.reserve(alice.pk, 10)

    results = at_once(6, reserve)

    assert sum(isinstance(each, budget.Reservation) for each in results) == 3
    assert sum(isinstance(each, DailyBudgetExceeded) for each in results) == 3
    assert DailyUsage.objects.get().requests == 3

"""Models that can't call tools."""

from contextlib import suppress
from dataclasses import dataclass

import pytest
from django.conf import LazySettings

from chatflow.workflows import Context, workflow
from chatflow.workflows.ai import toolless
from chatflow.workflows.exceptions import AttemptLost
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import Job, Step
from chatflow.workflows.running import routing, runner
from tests.configure import configure
from tests.openai_server import OpenAIServer, call, error, text
from tests.workflows.chat import Chat, Crashes, lose_worker, resume, run_waiting, streamed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

REFUSAL = error(400, "registry.ollama.ai/library/gemma3:4b does not support tools")
OTHERS = [
    error(404, "No endpoints found that support tool use."),
    error(400, '"auto" tool choice requires --enable-auto-tool-choice to be set'),
    error(500, "tools param requires --jinja flag"),
]


def look() -> str:
    """Look."""
    return "a lamp"


def looking(ctx: Context) -> str:
    return ctx.ai("What is there?", tools=[look], toolless=lambda words: f"Found for {words}: 1")


@pytest.mark.parametrize("refusal", [REFUSAL, *OTHERS])
def test_it_works(
    chat: Chat, server: OpenAIServer, caplog: pytest.LogCaptureFixture, refusal: object
) -> None:
    server.script = [refusal, text("A lamp.")]  # type: ignore[list-item]

    assert chat.begin(looking).response == "A lamp."
    first, second = server.requests
    assert ("tools" in first, "tools" in second) == (True, False)
    assert second["messages"][-1]["content"] == "Found for What is there?: 1\n\nWhat is there?"
    assert "can't call tools, so it is asked without them from now on" in caplog.text


def test_it_is_remembered_for_that_model(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    server.script = [REFUSAL, text("A lamp."), text("A lamp again."), call("look"), text("Lamps.")]

    chat.begin(looking)
    assert chat.say(workflow="w").response == "A lamp again."
    assert toolless.is_toolless("openai:gpt-4o-mini")

    configure(settings, AI_MODEL="openai-chat:gpt-4o")
    assert chat.say(workflow="w").response == "Lamps."
    assert ["tools" in each for each in server.requests] == [True, False, False, True, True]


def test_another_refusal_is_one(chat: Chat, server: OpenAIServer) -> None:
    server.script = [error(400, "The tools are wrong.")]

    assert (chat.begin(looking).code, len(server.requests)) == ("ai_rejected", 1)


def test_what_was_looked_up_is_recorded(chat: Chat, server: OpenAIServer) -> None:
    crashes = Crashes("after")
    server.script = [REFUSAL, text("A lamp.")]
    found: list[str] = []

    def count(words: str) -> str:
        found.append(words)
        return "Found."

    def work(ctx: Context) -> str:
        def look_up(words: str) -> str:
            return ctx.step("Look up", count, words)

        answer = ctx.ai("What is there?", tools=[look], toolless=look_up)
        crashes.at("after")
        return answer

    assert resume(chat.begin(work)).response == "A lamp."
    assert (len(server.requests), found) == (2, ["What is there?"])


@dataclass
class Trip:
    city: str
    nights: int


def test_a_type_is_filled_in_words(chat: Chat, server: OpenAIServer) -> None:
    server.script = [REFUSAL, text('Well: {"city": "Lyon", "nights": 3}')]

    job = chat.begin(lambda ctx: repr(ctx.ai("3 nights in Lyon", output_type=Trip)))

    assert job.response == "Trip(city='Lyon', nights=3)"
    prompt = server.requests[-1]["messages"][-1]["content"]
    assert prompt.startswith("3 nights in Lyon\n\nAnswer with one JSON object")
    assert '"nights"' in prompt


def test_its_mistake_is_told_in_words(chat: Chat, server: OpenAIServer) -> None:
    wrong, right = text('{"city": "Lyon"}'), text('{"city": "Lyon", "nights": 3}')
    server.script = [REFUSAL, wrong, right]

    job = chat.begin(lambda ctx: repr(ctx.ai("3 nights in Lyon", output_type=Trip)))

    assert job.response == "Trip(city='Lyon', nights=3)"
    assert {each["role"] for each in server.requests[-1]["messages"]} == {"user", "assistant"}


@pytest.mark.django_db(transaction=True)
def test_a_default_chat_searches_first(chat: Chat, server: OpenAIServer) -> None:
    """The choice of the workflow is made in words as well, and what was found is cited."""
    text_of_it = b"# Coffee\n\nThe coffee machine is cleaned on Mondays."
    store(text_of_it, "text/markdown", owner=chat.user)
    server.script = [REFUSAL, text('{"workflow": "chat"}'), text("On Mondays.")]

    job = chat.say("When is the coffee machine cleaned?")

    assert job.response == streamed(job) == "On Mondays."
    last = server.requests[-1]
    assert "tools" not in last
    assert "| The coffee machine is cleaned on Mondays." in last["messages"][-1]["content"]
    assert [source["title"] for source in job.sources] == ["Coffee"]
    assert Step.objects.filter(name__endswith="> Searching the documents").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("crash", ["never", "after the choice"])
def test_a_default_chat_hands_over(
    chat: Chat, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    """By a request of its own, inside of the one for the answer, and paid once."""
    workflow("greet", title="Greeting", description="Greets.")(lambda ctx: "Welcome!")
    server.script = [REFUSAL, text('{"workflow": "greet"}')]
    crashes = Crashes(crash)
    hand_over = routing.hand_over

    def dying(job: Job, name: str) -> None:
        crashes.at("after the choice")
        hand_over(job, name)

    monkeypatch.setattr(runner, "hand_over", dying)
    job = chat.send("Welcome me")
    with suppress(AttemptLost):
        run_waiting()
    if crash != "never":
        # In another process, which doesn't know the model yet.
        toolless._found.clear()
        lose_worker()
        run_waiting()
    job.refresh_from_db()

    assert (job.workflow, job.response, len(server.requests)) == ("greet", "Welcome!", 2)
    assert job.usage["requests"] == 1


@pytest.mark.django_db(transaction=True)
def test_a_default_chat_with_a_model_that_is_known(chat: Chat, server: OpenAIServer) -> None:
    talk = text('{"workflow": "chat"}')
    server.script = [REFUSAL, talk, text("Hello."), talk, text("Hello again.")]

    chat.say("Hello")

    assert chat.say("Hello again").response == "Hello again."
    assert len(server.requests) == 5

"""The verbs that look into documents."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows.knowledge import search as knowledge
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import State, Step
from chatflow.workflows.registry import workflow
from chatflow.workflows.running.context import Context
from tests.acceptance.markdown import block
from tests.workflows.chat import Chat, Crashes, resume
from tests.workflows.faults import refused_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = (
    b"# Deploy\n## nginx\nSwitch buffering off for Server-Sent Events (SSE), and set a timeout."
)


@pytest.fixture
def deploy() -> None:
    store(DEPLOY, "text/markdown", owner=None)


def ask(ctx: Context) -> Any:
    answer = ctx.answer_from_documents("How do I set nginx for SSE?")
    return ctx.reply(answer or "I don't know.", sources=ctx.sources())


def test_it_works(chat: Chat, deploy: None) -> None:
    job = chat.begin(ask)
    assert job.response.startswith("Offline: no language model is connected.")
    assert "Switch buffering off" in job.response
    [source] = job.sources
    assert source["title"] == "Deploy > nginx"
    assert set(source) == {"id", "title", "url", "relevance", "content_preview"}


def test_the_example_of_the_documentation(chat: Chat, deploy: None) -> None:
    exec(block(ROOT / "docs" / "knowledge.md", "In a workflow of your own", "python"), {})
    job = chat.say("How do I set nginx for SSE?", workflow="handbook")
    assert "Switch buffering off" in job.response
    assert [source["title"] for source in job.sources] == ["Deploy > nginx"]


def test_nothing_relevant(chat: Chat) -> None:
    job = chat.begin(ask)
    assert (job.response, job.sources) == ("I don't know.", [])


def test_without_intelligent_rag_there_is_no_search(
    chat: Chat, deploy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatflow.workflows.running.retrieval.search", None)
    workflow("w")(ask)
    job = chat.say(workflow="w", options={"intelligent_rag": False})
    assert (job.response, job.sources) == ("I don't know.", [])
    assert not Step.objects.filter(name__contains="Searching").exists()


def test_only_what_the_user_may_see(chat: Chat, alice: User, bob: User) -> None:
    store(DEPLOY, "text/markdown", owner=bob)
    assert chat.begin(ask).sources == []
    bobs = Chat(bob)
    assert bobs.begin(ask).sources


def test_a_search_is_made_once(chat: Chat, deploy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    crashes = Crashes("after")

    def search(query: str, **options: Any) -> list[knowledge.Source]:
        asked.append(query)
        return knowledge.search(query, **options)

    monkeypatch.setattr("chatflow.workflows.running.retrieval.search", search)

    def once(ctx: Context) -> Any:
        ctx.search("nginx")
        crashes.at("after")
        return ctx.reply("done", sources=ctx.sources())

    job = resume(chat.begin(once))
    assert (job.state, asked) == (State.COMPLETED, ["nginx"])
    assert len(job.sources) == 1


@pytest.mark.django_db(transaction=True)
def test_a_search_that_is_refused_for_others_sake_costs_no_attempt(
    chat: Chat, deploy: None
) -> None:
    with refused_once('FROM "knowledge_chunk"') as refused:
        job = chat.begin(ask)

    assert refused
    assert (job.state, job.attempt, job.failures) == (State.COMPLETED, 1, 0)
    assert "Switch buffering off" in job.response


def test_a_later_turn_may_ask_for_no_search(chat: Chat, deploy: None) -> None:
    def twice(ctx: Context) -> str:
        first = ctx.search("nginx")
        ctx.ask("More?")
        return f"{len(first)} {len(ctx.search('buffering'))}"

    chat.begin(twice)
    assert chat.say("yes", options={"intelligent_rag": False}).response == "1 0"


def test_a_tool_finds_sources_too(chat: Chat, deploy: None) -> None:
    def tool(ctx: Context) -> Any:
        text = ctx.step("Using search_documents", ctx.search_documents, query="nginx buffering")
        return ctx.reply(text, sources=ctx.sources())

    job = chat.begin(tool)
    assert "| Switch buffering off" in job.response
    assert len(job.sources) == 1


@pytest.mark.django_db(transaction=True)
def test_async(chat: Chat, deploy: None) -> None:
    async def search(ctx: Context) -> Any:
        found = await ctx.asearch("nginx")
        return await ctx.areply(str(len(found)))

    assert chat.begin(search).response == "1"

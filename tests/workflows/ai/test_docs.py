"""docs/models.md, tried."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from tests.acceptance.markdown import block, blocks
from tests.configure import configure
from tests.openai_server import OpenAIServer, call, output, text
from tests.workflows.chat import Chat, streamed

PAGE = Path(__file__).resolve().parents[3] / "docs" / "models.md"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def register(heading: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "docs"}
    exec(block(PAGE, heading, "python"), names)
    return names


def test_there_are_no_others() -> None:
    tried = ["Ask", "Get a type", "Give it tools", "Test without a model"]
    assert [each.heading for each in blocks(PAGE, "python")] == tried


def test_ask(chat: Chat, server: OpenAIServer) -> None:
    register("Ask")
    server.script = [text("Rain is water. It falls.")]

    job = chat.say("explain rain", workflow="explain")

    assert job.response == streamed(job) == "Rain is water. It falls."
    assert server.requests[0]["messages"][0]["content"].startswith("Explain it to a child")


def test_get_a_type(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    register("Get a type")
    server.script = [output(title="lunch", minutes=60)]
    assert chat.say("meet about lunch", workflow="meet").response == "lunch, 60 minutes"

    configure(settings, AI_MODEL="offline")
    assert chat.say("meet about lunch", workflow="meet").response == "lunch, 30 minutes"


def test_give_it_tools(chat: Chat, server: OpenAIServer) -> None:
    stock = register("Give it tools")["STOCK"]
    server.script = [
        call("stock", product="moon"),
        call("stock", product="lamp"),
        call("order", product="lamp", count=2),
        text("Ordered."),
    ]

    asked = chat.say("warehouse: two more lamps", workflow="warehouse")
    assert ((asked.awaiting or {})["kind"], stock) == ("approval", {"lamp": 3})
    assert "There is no product called 'moon'." in server.requests[1]["messages"][-1]["content"]
    assert chat.say("yes").response == "Ordered."
    assert stock == {"lamp": 5}


@pytest.mark.usefixtures("db")
def test_test_without_a_model(run: Any) -> None:
    register("Get a type")
    register("Test without a model")["test_meet"](run)

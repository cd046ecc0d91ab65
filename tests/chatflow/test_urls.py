"""The base path stands in one setting."""

import importlib
import json
from collections.abc import AsyncIterator, Iterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client
from django.urls import clear_url_caches

from chatflow import urls
from chatflow.asgi import application
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_streams

pytestmark = pytest.mark.django_db(transaction=True)


def reload() -> None:
    importlib.reload(urls)
    clear_url_caches()


@pytest.fixture(autouse=True)
def elsewhere(settings: Any) -> Iterator[None]:
    """Let the edge stand below another path."""
    seeds = settings.BASE_PATH
    settings.BASE_PATH = "/team/assistant/"
    reload()
    yield
    settings.BASE_PATH = seeds
    reload()


@pytest_asyncio.fixture
async def listening() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    listeners.closing = False
    yield
    await close_streams()


def send(client: Client, **body: Any) -> Any:
    body = {"message": "hello", "workflow": "echo", **body}
    answer = client.post("/team/assistant/chat/send", body, content_type="application/json")
    return answer.json()


def test_it_works(as_alice: Client) -> None:
    assert send(as_alice)["response"] == "You said: hello"
    assert as_alice.get("/ai-demo/workflow/jobs").status_code == 404
    jobs = as_alice.get("/team/assistant/workflow/jobs").json()["jobs"]
    assert [job["text"] for job in jobs] == ["hello"]


@pytest.mark.usefixtures("listening", "inline")
async def test_links_lead_there(as_alice: Client) -> None:
    started = await sync_to_async(lambda: send(as_alice, **{"async": True}))()
    path = started["stream_url"].removeprefix("http://testserver")
    assert path.startswith("/team/assistant/workflow/stream/")
    async with Exchange(application, path) as exchange:
        frames = [frame async for frame in exchange.frames()]
    assert frames[-1]["data"]["status"] == "completed"


def test_errors_are_in_the_envelope(anonymous: Client) -> None:
    for client in (anonymous, Client(enforce_csrf_checks=True)):
        answer = client.get("/team/assistant/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert anonymous.get("/team/assistant/workflow/jobs").json()["code"] == "unauthenticated"
    outside = anonymous.get("/ai-demo/nothing")
    assert outside["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("page", ["chat/", "chat/example/"])
def test_pages_call_it_there(alice: User, page: str) -> None:
    client = Client()
    client.force_login(alice)
    assert client.get("/")["Location"] == "/team/assistant/chat/"
    text = unescape(client.get(f"/team/assistant/{page}").content.decode())
    _, _, rest = text.partition('data-urls="')
    called, _ = json.JSONDecoder().raw_decode(rest)
    assert called["send"] == "/team/assistant/chat/send"
    assert all(url.startswith("/team/assistant/") for url in called.values())

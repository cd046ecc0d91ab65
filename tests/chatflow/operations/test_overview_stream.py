"""The overview's stream, through the whole ASGI application, and in front of Django's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.db import connections
from django.test import Client
from django.utils import timezone

from chatflow import asgi
from chatflow.conf import conf
from chatflow.operations import overview_stream
from chatflow.serving.pool import Pool
from chatflow.streams import of_job
from chatflow.web import with_streams
from chatflow.workflows import services
from chatflow.workflows.models import Cluster
from chatflow.workflows.streaming.listeners import listeners
from chatflow.wsgi import application as wsgi
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_connections, close_streams

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("outcomes")]

THREADS = 2
PATH = "/admin/chatflow_workflows/figures/stream"


@pytest_asyncio.fixture(autouse=True)
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Give the application a pool of its own, whose database connections end with the test."""
    pool = Pool(wsgi, THREADS)
    monkeypatch.setattr(asgi.application, "pool", pool)
    listeners.closing = False
    yield
    await close_streams()
    await asyncio.to_thread(close_connections, pool.executor, THREADS)


@pytest.fixture
def watch() -> Callable[..., Exchange]:
    def watch(client: Client, application: Any = asgi.application) -> Exchange:
        return Exchange(
            application, PATH, headers={"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
        )

    return watch


async def parts(frames: AsyncIterator[dict[str, Any]]) -> dict[str, str]:
    async for frame in frames:
        if frame.get("data", {}).get("type") == "overview":
            found: dict[str, str] = frame["data"]["parts"]
            return found
    raise AssertionError("The stream has ended.")


async def test_what_changes_is_told(
    boss: Client, alice: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview_stream, "pause_after", lambda took: 0.05)
    async with watch(boss) as exchange:
        frames = exchange.frames()
        assert (await anext(frames))["data"] == {"type": "connected"}
        assert exchange.headers["content-type"] == "text/event-stream"
        first = await parts(frames)
        assert first.keys() == {"troubles", "figures", "queues", "workers"}
        await sync_to_async(services.start)(alice, "hello", session_key="s", workflow="echo")
        while "1 job waits." not in (found := await parts(frames)).get("troubles", ""):
            pass
        assert "figures" not in found
        # Another one who comes now has all of it at once.
        async with watch(boss) as other:
            theirs = other.frames()
            await anext(theirs)
            assert (await parts(theirs)).keys() == first.keys()
    assert overview_stream.board._guards == []


async def test_a_viewer_sees_no_more_than_they_may(
    staff: Callable[..., Client], watch: Callable[..., Exchange]
) -> None:
    seen = timezone.now()
    await Cluster.objects.acreate(host="worker-host", pid=1, workers=1, seen_at=seen)
    client = await sync_to_async(staff)("view_job")
    async with watch(client) as exchange:
        found = await parts(exchange.frames())
    assert found.keys() == {"troubles", "figures", "queues"}
    assert not any("worker-host" in part for part in found.values())


async def test_those_who_lose_their_permission_are_cut(
    staff: Callable[..., Client], watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview_stream, "CHECK", 0.05)
    client = await sync_to_async(staff)("view_job")
    async with watch(client) as exchange:
        frames = exchange.frames()
        await parts(frames)
        await User.objects.filter(is_staff=True).aupdate(is_staff=False)
        assert [frame async for frame in frames if "data" in frame] == []
    assert not exchange.complete


async def test_those_who_sign_out_are_cut(
    boss: Client, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.05)
    async with watch(boss) as exchange:
        frames = exchange.frames()
        await parts(frames)
        await sync_to_async(boss.logout)()
        assert [frame async for frame in frames if "data" in frame] == []


async def test_a_server_that_stops_cuts_it(boss: Client, watch: Callable[..., Exchange]) -> None:
    async with watch(boss) as exchange:
        frames = exchange.frames()
        await parts(frames)
        listeners.cut_all()
        assert [frame async for frame in frames if "data" in frame] == []
    async with watch(boss) as exchange:
        assert await exchange.start() == 503


async def test_in_front_of_django_itself(
    boss: Client, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Django gives each request a thread of its own there, whose connection must end with it.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    application = with_streams(get_asgi_application())
    async with watch(boss, application) as exchange:
        found = await parts(exchange.frames())
    assert "queues" in found
    threads = application.threads.executor  # type: ignore[attr-defined]
    await asyncio.to_thread(close_connections, threads, conf.WEB_THREADS)


async def test_too_many(boss: Client, watch: Callable[..., Exchange], settings: Any) -> None:
    settings.CHATFLOW = {**settings.CHATFLOW, "STREAMS_PER_USER": 1}
    async with watch(boss) as exchange:
        await parts(exchange.frames())
        async with watch(boss) as other:
            assert await other.start() == 503

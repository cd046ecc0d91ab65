"""GET workflow/stream/{job_id}, through the whole ASGI application."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from chatflow.access.tokens import make_token
from chatflow.asgi import application
from chatflow.auth import Right, revoked, sign_link
from chatflow.conf import conf
from chatflow.streams import of_job
from chatflow.wire.asgi_types import AsgiMessage
from chatflow.workflows import services
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.running.routing import hand_over
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome, end
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.conftest import AGAIN, MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.test_auth import grant_of
from tests.chatflow.threads import close_streams
from tests.configure import configure
from tests.conftest import Bearer
from tests.workflows.chat import claimed

pytestmark = pytest.mark.django_db(transaction=True)

Run = Callable[[Job], Job]
# Seconds; much longer than it takes, for machines that are busy.
SOON = 10.0


@pytest_asyncio.fixture(autouse=True)
async def listening() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    listeners.closing = False
    yield
    await close_streams()


def path(job: Job, query: str = "") -> str:
    return f"/ai-demo/workflow/stream/{job.public_id}{query}"


def link(job: Job) -> str:
    return path(job, f"?token={sign_link(job)}")


async def take(frames: AsyncIterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [await anext(frames) for _ in range(count)]


def begin(job: Job) -> None:
    """Put the job into the hands of a worker that does nothing by itself."""
    Job.objects.filter(pk=job.pk).update(
        state="processing", attempt=1, lease_until=timezone.now() + timedelta(minutes=1)
    )


# What every answer has.
SAFE = {
    "content-security-policy": ANY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


async def test_it_works(alice: User, bearer: Bearer, make_job: MakeJob, run: Run) -> None:
    job = await sync_to_async(lambda: run(make_job(alice)))()
    headers = await sync_to_async(bearer)(alice)
    async with Exchange(application, path(job), headers=headers) as exchange:
        assert await exchange.start() == 200
        assert re.fullmatch("[0-9a-f]{32}", exchange.headers.pop("x-request-id"))
        assert exchange.headers == {
            "content-type": "text/event-stream",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            "content-encoding": "identity",
            "vary": "origin",
            **SAFE,
        }
        connected, *frames = [frame async for frame in exchange.frames()]
    assert exchange.complete
    assert "id" not in connected
    assert connected["retry"] == "1000"
    assert connected["data"]["status"] == "connected"
    assert connected["data"]["job_id"] == job.public_id
    assert connected["data"]["last_event_id"] == job.last_seq
    assert [int(frame["id"]) for frame in frames] == list(range(1, job.last_seq + 1))
    assert [frame["data"]["seq"] for frame in frames] == list(range(1, job.last_seq + 1))
    assert all("event" not in frame for frame in frames)
    *earlier, last = [frame["data"] for frame in frames]
    assert {frame["status"] for frame in earlier} == {"processing"}
    assert last["status"] == "completed"
    assert last["progress"] == 100
    assert last["response"] == "You said: hello"
    assert last["actions"] == [{**AGAIN, "id": ANY}]
    assert last["sources"] == [{"title": "You"}]
    assert "metadata" in last


async def test_it_tells_the_place_in_the_queue(
    alice: User, bob: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.05)
    first = await sync_to_async(make_job)(bob)
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        frames = exchange.frames()
        _, waiting = await take(frames, 2)
        assert "id" not in waiting
        assert waiting["data"]["queue_position"] == 2
        assert (waiting["data"]["status"], waiting["data"]["type"]) == ("processing", "queued")
        await sync_to_async(services.cancel)(first)
        (waiting,) = await take(frames, 1)
        assert waiting["data"]["queue_position"] == 1
        # Nothing more is told of the queue, whatever is told next.
        await sync_to_async(services.cancel)(job)
        (last,) = await take(frames, 1)
        assert last["data"]["seq"] == 1


async def test_a_long_queue_is_looked_at_less_often() -> None:
    assert of_job.pause_after(0.001) == of_job.LOOK_AGAIN
    assert of_job.pause_after(3.0) == 60.0


async def test_it_tells_the_place_beside_a_stream_of_all(
    alice: User, bearer: Bearer, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.05)
    headers = await sync_to_async(bearer)(alice)
    async with Exchange(application, "/ai-demo/chat/stream", headers=headers) as watching:
        await anext(watching.frames())
        job = await sync_to_async(make_job)(alice)
        async with Exchange(application, link(job)) as exchange:
            frames = exchange.frames()
            _, waiting = await take(frames, 2)
            assert waiting["data"]["queue_position"] == 1
            await sync_to_async(make_job)(alice)
            other = await sync_to_async(make_job)(alice)
            # The look at the queue has outlived the other stream.
            async with Exchange(application, link(other)) as later:
                _, waiting = await take(later.frames(), 2)
                assert waiting["data"]["queue_position"] == 3


async def test_a_bare_event_source_needs_only_the_url(
    alice: User, make_job: MakeJob, run: Run
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice)))()
    async with Exchange(application, link(job)) as exchange:
        frames = [frame async for frame in exchange.frames()]
    assert frames[-1]["data"]["status"] == "completed"


async def test_the_cookie_opens_it_too(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    cookie = await sync_to_async(signed_in)(alice)
    async with Exchange(application, path(job), headers={"Cookie": cookie}) as exchange:
        assert await exchange.start() == 200


def signed_in(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


async def test_frames_come_as_they_are_committed(alice: User, make_job: MakeJob, run: Run) -> None:
    job = await sync_to_async(make_job)(alice)
    await sync_to_async(begin)(job)
    async with Exchange(application, link(job)) as exchange:
        frames = exchange.frames()
        await take(frames, 1)
        for number in (1, 2, 3):
            await sync_to_async(append)(job.pk, 1, "progress", progress=number, message=f"{number}")
            frame = await asyncio.wait_for(anext(frames), SOON)
            assert frame["id"] == str(number)
            assert frame["data"]["progress"] == number
            assert frame["data"]["message"] == f"{number}"


@pytest.mark.parametrize("by", ["header", "query", "both"])
async def test_a_cursor_skips_what_was_seen(
    alice: User, make_job: MakeJob, run: Run, by: str
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice)))()
    headers = {} if by == "query" else {"Last-Event-ID": "2"}
    query = {"header": "", "query": "&last_event_id=2", "both": "&last_event_id=1"}[by]
    async with Exchange(application, link(job) + query, headers=headers) as exchange:
        ids = [int(frame["id"]) async for frame in exchange.frames() if "id" in frame]
    assert ids == list(range(3, job.last_seq + 1))


@pytest.mark.parametrize(
    "cursor", ["x", "-1", "1.5", "1e3", "٣", "2147483648", "9" * 40, " ", "1,2"]
)
async def test_bad_cursors(alice: User, make_job: MakeJob, cursor: str) -> None:
    job = await sync_to_async(make_job)(alice)
    url = f"{link(job)}&last_event_id={quote(cursor)}"
    async with Exchange(application, url) as exchange:
        body = await exchange.json()
    assert exchange.status == 400
    assert body["code"] == "invalid"


async def test_a_cursor_beyond_the_head(alice: User, make_job: MakeJob, run: Run) -> None:
    running = await sync_to_async(make_job)(alice)
    finished = await sync_to_async(lambda: run(make_job(alice, session="t")))()
    for job in (running, finished):
        headers = {"Last-Event-ID": str(job.last_seq + 1)}
        async with Exchange(application, link(job), headers=headers) as exchange:
            body = await exchange.json()
        assert exchange.status == 409
        assert body["code"] == "cursor_beyond_head"


async def test_after_the_last_frame_there_is_nothing(
    alice: User, make_job: MakeJob, run: Run
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice)))()
    headers = {"Last-Event-ID": str(job.last_seq)}
    async with Exchange(application, link(job), headers=headers) as exchange:
        assert await exchange.read() == b""
    assert exchange.status == 204


@pytest.mark.parametrize(
    ("workflow", "status", "code"), [("fail", "failed", "fire"), ("crash", "failed", None)]
)
async def test_failures(
    alice: User, make_job: MakeJob, run: Run, workflow: str, status: str, code: str | None
) -> None:
    job = await sync_to_async(lambda: run(make_job(alice, workflow=workflow)))()
    async with Exchange(application, link(job)) as exchange:
        last = [frame async for frame in exchange.frames()][-1]["data"]
    assert last["status"] == status
    assert last["error"]
    assert last["code"] == (code or last["code"])
    assert "secret" not in str(last)


async def test_a_cancelled_job_is_failed_with_its_code(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        frames = exchange.frames()
        await take(frames, 1)
        await sync_to_async(services.cancel)(job)
        last = await asyncio.wait_for(anext(frames), SOON)
        assert (last["data"]["status"], last["data"]["code"]) == ("failed", "cancelled")
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
    assert exchange.complete


async def test_keep_alives_are_comments(
    alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "KEEP_ALIVE", 0.05)
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        _, first, second = await take(exchange.frames(), 3)
    assert first == second == {"comment": "keep-alive"}


# Who may watch.


@pytest.mark.parametrize("known", [True, False])
async def test_without_credentials(alice: User, make_job: MakeJob, known: bool) -> None:
    job = await sync_to_async(make_job)(alice)
    url = path(job) if known else "/ai-demo/workflow/stream/workflow_abc123"
    async with Exchange(application, url) as exchange:
        body = await exchange.json()
    assert exchange.status == 401
    assert exchange.headers["www-authenticate"] == "Bearer"
    assert body["code"] == "unauthenticated"


@pytest.mark.parametrize("way", ["token", "cookie"])
async def test_a_foreign_job_is_unknown(
    alice: User, bob: User, bearer: Bearer, make_job: MakeJob, way: str
) -> None:
    job = await sync_to_async(make_job)(alice)
    headers = (
        await sync_to_async(bearer)(bob)
        if way == "token"
        else {"Cookie": await sync_to_async(signed_in)(bob)}
    )
    answers = []
    for url in (path(job), "/ai-demo/workflow/stream/workflow_" + "0" * 32):
        async with Exchange(application, url, headers=headers) as exchange:
            answers.append((await exchange.json(), exchange.status))
    assert answers[0] == answers[1]
    assert answers[0][1] == 404


async def test_a_link_wins_over_somebody_elses_cookie(
    alice: User, bob: User, make_job: MakeJob
) -> None:
    job = await sync_to_async(make_job)(alice)
    headers = {"Cookie": await sync_to_async(signed_in)(bob)}
    async with Exchange(application, link(job), headers=headers) as exchange:
        assert await exchange.start() == 200


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE"])
async def test_other_methods(alice: User, make_job: MakeJob, method: str) -> None:
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job), method=method) as exchange:
        body = await exchange.json()
    assert exchange.status == 405
    assert body["code"] == "method_not_allowed"
    assert "GET" in exchange.headers["allow"]


async def test_a_refusal_is_as_safe_as_other_answers(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, path(job)) as exchange:
        assert await exchange.start() == 401
    assert exchange.headers.items() >= SAFE.items()
    assert exchange.headers["cache-control"] == "private, no-store"


async def test_a_host_that_is_not_ours(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    exchange = Exchange(application, link(job))
    exchange.scope["headers"] = [(b"host", b"evil.example")]
    async with exchange:
        body = await exchange.json()
    assert (exchange.status, body["code"]) == (400, "invalid")


async def test_a_link_takes_no_slots_of_its_owner(
    alice: User, bearer: Bearer, make_job: MakeJob, settings: Any
) -> None:
    configure(settings, STREAMS_PER_USER=1)
    client = Client()
    await sync_to_async(client.force_login)(alice)
    cookie = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    headers = await sync_to_async(bearer)(alice)
    job = await sync_to_async(make_job)(alice)
    other = await sync_to_async(make_job)(alice, session="other")
    async with Exchange(application, link(job)) as stranger:
        assert await stranger.start() == 200
        # The owner's page opens the link too, and is signed in; programs have their token.
        for url, by in [(link(job), cookie), (path(job), headers), (link(other), {})]:
            async with Exchange(application, url, headers=by) as exchange:
                assert await exchange.start() == 200
        async with Exchange(application, link(job), headers={"Cookie": "sessionid=x"}) as again:
            assert await again.start() == 429


async def test_the_links_of_a_user_are_bounded(
    alice: User, make_job: MakeJob, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(settings, STREAMS_PER_USER=1)
    monkeypatch.setattr(of_job, "LINKS", 1)
    one, two = [await sync_to_async(make_job)(alice, session=name) for name in "ab"]
    async with Exchange(application, link(one)) as first:
        assert await first.start() == 200
        async with Exchange(application, link(two)) as second:
            assert await second.start() == 429


async def test_too_many_streams(alice: User, bob: User, make_job: MakeJob, settings: Any) -> None:
    configure(settings, STREAMS_PER_USER=2)
    job = await sync_to_async(make_job)(alice)
    other = await sync_to_async(make_job)(bob)
    async with Exchange(application, link(job)) as one, Exchange(application, link(job)) as two:
        assert [await one.start(), await two.start()] == [200, 200]
        async with Exchange(application, link(job)) as three:
            body = await three.json()
        assert three.status == 429
        assert three.headers["retry-after"]
        assert body["code"] == "rate_limited"
        async with Exchange(application, link(other)) as bobs:
            assert await bobs.start() == 200
    async with Exchange(application, link(job)) as later:
        assert await later.start() == 200


async def test_the_streams_of_a_process_are_counted(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        await exchange.start()
        assert len(of_job.open_streams) == 1
    assert len(of_job.open_streams) == 0


async def test_streams_are_counted_while_others_come_and_go() -> None:
    """A probe counts them in a thread of its own."""

    class Passing:
        dialect, slots, turn = "seed", ("slot",), 0

    streams, ended = of_job.OpenStreams(), asyncio.Event()

    def count() -> None:
        while not ended.is_set():
            assert set(streams.by_dialect()) <= {"seed"}

    counting = asyncio.create_task(asyncio.to_thread(count))
    passing: list[Any] = [Passing() for _ in range(2000)]
    try:
        for change in (streams.add, streams.remove) * 10:
            for each in passing:
                change(each)
            await asyncio.sleep(0)
    finally:
        ended.set()
    await counting
    assert streams.by_dialect() == {}


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://app.example", True), ("https://evil.example", False)]
)
async def test_other_origins(
    alice: User, make_job: MakeJob, settings: Any, origin: str, allowed: bool
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    job = await sync_to_async(make_job)(alice)
    for url in (link(job), path(job)):
        async with Exchange(application, url, headers={"Origin": origin}) as exchange:
            await exchange.start()
        assert ("access-control-allow-origin" in exchange.headers) is allowed
        assert "origin" in exchange.headers["vary"].lower()


# How streams end before their job does.


async def test_a_client_that_leaves_is_noticed(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        await exchange.start()
        exchange.hang_up()
        await asyncio.wait_for(exchange.task, SOON)
    assert len(of_job.open_streams) == 0
    assert listeners.listeners_by_channel == {}


async def test_a_client_that_takes_nothing_is_dropped(
    alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "SEND_TIMEOUT", 0.05)
    job = await sync_to_async(make_job)(alice)

    async def stuck(message: AsgiMessage) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    exchange = Exchange(application, link(job))
    exchange.on_send = stuck
    async with exchange:
        await asyncio.wait_for(exchange.task, SOON)
    assert not exchange.complete


async def test_shutting_down_breaks_streams_off(alice: User, make_job: MakeJob) -> None:
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        await take(exchange.frames(), 1)
        listeners.cut_all()
        await asyncio.wait_for(exchange.task, SOON)
    assert not exchange.complete
    async with Exchange(application, link(job)) as late:
        assert await late.start() == 503
        assert late.headers["retry-after"]


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def change_password(user: User) -> None:
    user.set_password("another one")
    user.save()


def revoke(user: User) -> None:
    call_command("revoke_tokens", user.username)


def sign_out(user: User) -> None:
    Session.objects.all().delete()


@pytest.mark.parametrize(
    ("way", "change", "ends"),
    [
        ("link", deactivate, True),
        ("link", change_password, True),
        ("link", revoke, True),
        ("link", sign_out, False),
        ("token", deactivate, True),
        ("token", change_password, True),
        ("token", revoke, True),
        ("cookie", deactivate, True),
        ("cookie", change_password, True),
        ("cookie", revoke, False),
        ("cookie", sign_out, True),
    ],
)
async def test_a_revoked_credential_ends_its_streams(
    alice: User,
    bob: User,
    bearer: Bearer,
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    change: Callable[[User], None],
    ends: bool,
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.1)
    job = await sync_to_async(make_job)(alice)
    others = await sync_to_async(make_job)(bob)
    url = link(job) if way == "link" else path(job)
    headers = {}
    if way == "token":
        headers = await sync_to_async(bearer)(alice)
    elif way == "cookie":
        headers = {"Cookie": await sync_to_async(signed_in)(alice)}
    async with (
        Exchange(application, url, headers=headers) as hers,
        Exchange(application, link(others)) as his,
    ):
        await take(hers.frames(), 1)
        await take(his.frames(), 1)
        await sync_to_async(change)(alice)
        done, _ = await asyncio.wait({hers.task}, timeout=SOON if ends else 0.5)
        assert bool(done) is ends
        assert not his.task.done()
        assert not hers.complete


async def test_a_link_that_runs_out_ends_its_stream(
    alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.1)
    job = await sync_to_async(make_job)(alice)
    async with Exchange(application, link(job)) as exchange:
        assert await exchange.start() == 200
        then = timezone.now() + timedelta(seconds=conf.STREAM_LINK_TTL)
        monkeypatch.setattr("chatflow.auth.clock", SimpleNamespace(now=lambda: then))
        await asyncio.wait_for(exchange.task, SOON)
    assert not exchange.complete


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"scope": "read"}, 200),
        ({"scope": "send"}, 200),
        ({"workflow": "echo"}, 200),
        ({"workflow": "fail"}, 404),
    ],
)
async def test_a_tokens_limits(
    alice: User, make_job: MakeJob, limits: dict[str, Any], status: int
) -> None:
    job = await sync_to_async(make_job)(alice)
    _, secret = await sync_to_async(make_token)(alice, **limits)
    headers = {"Authorization": f"Bearer {secret}"}
    async with Exchange(application, path(job), headers=headers) as exchange:
        assert await exchange.start() == status


async def test_a_token_for_one_workflow_loses_a_job_that_is_handed_over(
    alice: User, make_job: MakeJob
) -> None:
    """Its stream breaks off as that of a revoked token does."""
    job = await sync_to_async(make_job)(alice)
    _, secret = await sync_to_async(make_token)(alice, workflow="echo")
    headers = {"Authorization": f"Bearer {secret}"}
    async with Exchange(application, path(job), headers=headers) as exchange:
        frames = exchange.frames()
        await anext(frames)
        taken = await sync_to_async(claimed)()
        assert (await anext(frames))["id"] == "1"
        await sync_to_async(hand_over)(taken, "ask")
        await sync_to_async(claimed)()
        assert [frame async for frame in frames] == []
        assert not exchange.complete


async def test_one_query_looks_at_all_streams(
    alice: User, bob: User, bearer: Bearer, make_job: MakeJob, django_assert_num_queries: Any
) -> None:
    def lost() -> set[Right]:
        found = [
            grant_of(make_job(alice), link=True).right,
            grant_of(make_job(alice), headers=bearer(alice)).right,
            grant_of(make_job(bob), headers={"Cookie": signed_in(bob)}).right,
        ]
        with django_assert_num_queries(1):
            return revoked(found)

    assert await sync_to_async(lost)() == set()


async def test_events_are_all_there_for_many_clients(
    alice: User, make_job: MakeJob, settings: Any
) -> None:
    """Whoever joins when, each reads every event once and in order."""
    configure(settings, STREAMS_PER_USER=100)
    job = await sync_to_async(make_job)(alice)
    await sync_to_async(begin)(job)
    url = link(job)

    async def watch(delay: float) -> list[int]:
        await asyncio.sleep(delay)
        async with Exchange(application, url) as exchange:
            return [int(frame["id"]) async for frame in exchange.frames() if "id" in frame]

    watching = [asyncio.ensure_future(watch(number / 40)) for number in range(20)]
    for number in range(60):
        await sync_to_async(append)(job.pk, 1, "progress", progress=number)
    await sync_to_async(finish)(job)
    for seen in await asyncio.gather(*watching):
        assert seen == list(range(1, 62))


def finish(job: Job) -> None:
    job.refresh_from_db()
    end(job, Outcome(State.COMPLETED, response="done"))
    assert Event.objects.filter(job=job).count() == 61

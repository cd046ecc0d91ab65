"""Views whose answer is a job's stream or its end, through the whole ASGI application."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import get_script_prefix, include, path
from rest_framework.request import Request

from chatflow.access.tokens import make_token
from chatflow.answers.errors import Unavailable
from chatflow.asgi import application
from chatflow.dialects import BREAK, CLOSE, Dialect
from chatflow.endpoints.views import api_view
from chatflow.streams import following, of_job
from chatflow.streams.of_job import open_streams
from chatflow.wire.addresses import request_prefix
from chatflow.wire.routes import PROTOCOLS
from chatflow.workflows import services
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Event, Job, State
from chatflow.workflows.running.routing import hand_over
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.store.lifecycle import end as store_end
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import begin
from tests.configure import configure
from tests.conftest import Bearer
from tests.workflows.chat import claimed

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("served"),
    pytest.mark.urls("tests.chatflow.streams.test_following"),
]

Run = Callable[[Job], Job]


class Numbers(Dialect):
    """Numbers its frames: they depend on the events before them."""

    __slots__ = ("number", "said")
    name = "numbers"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.number = 0

    def frames(self, event: Event) -> list[bytes]:
        self.number += 1
        frames = [f"data: {self.number} {event.type}\n\n".encode()]
        return frames + {"restarted": [BREAK], "step_started": [CLOSE]}.get(event.message, [])


def close(job: Job) -> None:
    job.refresh_from_db()
    store_end(job, Outcome(State.COMPLETED))


@api_view(["POST"])
def follow(request: Request, job_id: str) -> HttpResponse:
    following.check_room(request)
    job = services.get_job(request.user, job_id)
    encoding, frames = following.encode(job, Numbers(job))
    return following.stream(request, job, encoding, b"".join(frames), {"x-own": "1"})


@api_view(["POST"])
def end(request: Request, job_id: str) -> HttpResponse:
    following.check_room(request)
    job = services.get_job(request.user, job_id)

    def render() -> HttpResponse:
        return JsonResponse({"state": services.get_job(request.user, job_id).state}, status=201)

    return following.wait(request, job, render)


@api_view(["POST"])
def broken(request: Request, job_id: str) -> HttpResponse:
    def render() -> HttpResponse:
        raise JobNotFound

    return following.wait(request, services.get_job(request.user, job_id), render)


@api_view(["POST"])
def away(request: Request, job_id: str) -> HttpResponse:
    def render() -> HttpResponse:
        raise Unavailable

    return following.wait(request, services.get_job(request.user, job_id), render)


@api_view(["POST"])
def place(request: Request, job_id: str) -> HttpResponse:
    def render() -> HttpResponse:
        return JsonResponse({"prefix": request_prefix(), "thread": thread_name()})

    asked.append(weakref.ref(request._request))
    return following.wait(request, services.get_job(request.user, job_id), render)


@api_view(["POST"])
def hold(request: Request, job_id: str) -> HttpResponse:
    job = services.get_job(request.user, job_id)
    encoding, frames = following.encode(job, Numbers(job))

    def abandon() -> None:
        abandoned_in.append(thread_name())

    return following.stream(request, job, encoding, b"".join(frames), abandon=abandon)


@api_view(["POST"])
def together(request: Request, job_id: str) -> HttpResponse:
    """Follow, when both of two have been let in."""
    following.check_room(request)
    both.wait(10)
    job = services.get_job(request.user, job_id)
    return following.stream(request, job, *following.encode(job, Numbers(job))[:1], b"")


def thread_name() -> str:
    return threading.current_thread().name.partition("_")[0]


asked: list[weakref.ref[HttpRequest]] = []
abandoned_in: list[str] = []
both = threading.Barrier(2)

urlpatterns = [
    path("away/<str:job_id>", away),
    path("place/<str:job_id>", place),
    path("hold/<str:job_id>", hold),
    path("together/<str:job_id>", together),
    path("follow/<str:job_id>", follow),
    path("end/<str:job_id>", end),
    # Where tokens for one workflow may come by.
    path("dialect/", include(([path("end/<str:job_id>", end)], PROTOCOLS))),
    path("broken/<str:job_id>", broken),
]


@pytest_asyncio.fixture
async def job(alice: User, make_job: MakeJob) -> Job:
    return await sync_to_async(make_job)(alice)


@pytest_asyncio.fixture
async def post(bearer: Bearer, alice: User) -> Callable[..., Exchange]:
    """Return what asks as Alice, or as somebody else."""

    def post(what: str, job: Job, headers: dict[str, str] | None = None) -> Exchange:
        own = {**token, "Origin": "https://a.example"}
        return Exchange(
            application, f"/{what}/{job.public_id}", method="POST", headers=headers or own
        )

    token = await sync_to_async(bearer)(alice)
    return post


async def test_a_stream_goes_on_where_the_view_has_read(
    post: Callable[..., Exchange], job: Job, settings: Any
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://a.example"]
    await sync_to_async(begin)(job)
    await sync_to_async(append)(job.pk, 1, Event.Type.PROGRESS)
    async with post("follow", job) as exchange:
        assert await exchange.start() == 200
        assert exchange.headers["content-type"] == "text/event-stream"
        assert exchange.headers["x-own"] == "1"
        assert exchange.headers["access-control-allow-origin"] == "https://a.example"
        assert "content-length" not in exchange.headers
        chunks = exchange.chunks()
        assert await anext(chunks) == b"data: 1 progress\n\n"
        assert open_streams.by_dialect() == {"numbers": 1}
        await sync_to_async(append)(job.pk, 1, Event.Type.DELTA)
        await sync_to_async(close)(job)
        said = b"".join([chunk async for chunk in chunks])
    assert said == b"data: 2 delta\n\ndata: 3 completed\n\n"
    assert exchange.complete
    assert open_streams.by_dialect() == {}


async def somebody_waits() -> None:
    async with asyncio.timeout(10):
        while "wait" not in open_streams.by_dialect():
            await asyncio.sleep(0)


async def test_what_has_ended_is_answered_at_once(
    post: Callable[..., Exchange], job: Job, run: Run
) -> None:
    await sync_to_async(run)(job)
    async with post("follow", job) as exchange:
        assert (await exchange.read()).count(b"data:") == 4
    async with post("end", job) as exchange:
        assert await exchange.json() == {"state": "completed"}
    assert exchange.status == 201


async def test_who_waits_gets_the_end_alone(
    post: Callable[..., Exchange], job: Job, run: Run, settings: Any
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://a.example"]
    async with post("end", job) as exchange:
        while "wait" not in open_streams.by_dialect():
            await asyncio.sleep(0)
        await sync_to_async(run)(job)
        assert await exchange.json() == {"state": "completed"}
    assert exchange.status == 201
    assert exchange.headers["access-control-allow-origin"] == "https://a.example"
    assert open_streams.by_dialect() == {}


async def test_who_waits_is_told_that_the_server_stops(
    post: Callable[..., Exchange], job: Job
) -> None:
    async with post("end", job) as exchange:
        while "wait" not in open_streams.by_dialect():
            await asyncio.sleep(0)
        listeners.cut_all()
        assert (await exchange.json())["code"] == "unavailable"
    assert exchange.status == 503
    # The job goes on: a second request would start a second one.
    assert exchange.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("what", "code", "status"), [("broken", "not_found", 404), ("away", "unavailable", 503)]
)
async def test_a_render_that_fails_is_answered_as_a_view_that_fails(
    post: Callable[..., Exchange], job: Job, run: Run, what: str, code: str, status: int
) -> None:
    async with post(what, job) as exchange:
        await somebody_waits()
        await sync_to_async(run)(job)
        assert (await exchange.json())["code"] == code
    assert exchange.status == status
    assert exchange.headers["x-should-retry"] == "false"


async def test_who_waits_is_answered_where_views_are(
    post: Callable[..., Exchange], job: Job, run: Run
) -> None:
    """In the pool's threads, with the prefix of the request; nothing of it stays there."""
    exchange = post("place", job)
    exchange.scope |= {"root_path": "/chat", "path": f"/chat{exchange.scope['path']}"}
    async with exchange:
        await somebody_waits()
        await sync_to_async(run)(job)
        assert await exchange.json() == {"prefix": "/chat", "thread": "web"}
    prefixes = [application.pool.executor.submit(get_script_prefix) for _ in range(4)]
    assert {each.result() for each in prefixes} == {"/"}


async def test_nothing_is_held_of_a_request_that_waits(
    post: Callable[..., Exchange], job: Job
) -> None:
    async with post("place", job):
        await somebody_waits()
        gc.collect()
        assert asked[-1]() is None


async def test_who_waits_by_a_revoked_token_is_told_so(
    post: Callable[..., Exchange], job: Job, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.05)
    async with post("end", job) as exchange:
        await somebody_waits()
        await sync_to_async(call_command)("revoke_tokens", alice.username)
        assert (await exchange.json())["code"] == "unauthenticated"
    assert exchange.status == 401
    assert exchange.headers["x-should-retry"] == "false"


async def test_who_waits_loses_a_job_that_the_token_is_not_for_any_more(
    post: Callable[..., Exchange], job: Job, alice: User
) -> None:
    _, secret = await sync_to_async(make_token)(alice, workflow="echo")
    async with post("dialect/end", job, {"Authorization": f"Bearer {secret}"}) as exchange:
        await somebody_waits()
        await sync_to_async(hand_over)(await sync_to_async(claimed)(), "ask")
        await sync_to_async(close)(await sync_to_async(claimed)())
        assert (await exchange.json())["code"] == "not_found"
    assert exchange.status == 404


async def test_a_client_that_leaves_abandons_in_the_pool(
    post: Callable[..., Exchange], job: Job
) -> None:
    abandoned_in.clear()
    async with post("hold", job) as exchange:
        await exchange.start()
    assert abandoned_in == ["web"]


async def test_the_beginning_is_sent_in_pieces(
    post: Callable[..., Exchange], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "PIECE", 8)
    await sync_to_async(begin)(job)
    await sync_to_async(append)(job.pk, 1, Event.Type.PROGRESS)
    async with post("follow", job) as exchange:
        await exchange.start()
        chunks = exchange.chunks()
        said = [await anext(chunks) for _ in range(3)]
    assert said == [b"data: 1 ", b"progress", b"\n\n"]


async def test_of_two_that_were_let_in_the_second_finds_no_room(
    post: Callable[..., Exchange], job: Job, settings: Any
) -> None:
    configure(settings, STREAMS_PER_USER=1)
    async with post("together", job) as one, post("together", job) as two:
        assert {await one.start(), await two.start()} == {200, 429}
        refused = one if one.status == 429 else two
        assert (await refused.json())["code"] == "rate_limited"
        assert refused.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("sign", "whole"), [("restarted", False), ("step_started", True)])
async def test_a_dialect_may_end_a_stream_before_its_job(
    post: Callable[..., Exchange], job: Job, sign: str, whole: bool
) -> None:
    await sync_to_async(begin)(job)
    async with post("follow", job) as exchange:
        await exchange.start()
        await sync_to_async(append)(job.pk, 1, Event.Type.PROGRESS, message=sign)
        said = [chunk async for chunk in exchange.chunks()]
    assert b"".join(said).startswith(b"data: 1 progress\n\n")
    assert exchange.complete is whole
    assert open_streams.by_dialect() == {}


async def test_too_many_are_refused_before_anything_happens(
    post: Callable[..., Exchange], job: Job, settings: Any
) -> None:
    configure(settings, STREAMS_PER_USER=1)
    async with post("follow", job) as first:
        await first.start()
        for what in ("follow", "end"):
            async with post(what, job) as exchange:
                assert await exchange.start() == 429


async def test_somebody_elses_is_nothing(
    post: Callable[..., Exchange], job: Job, bearer: Bearer, bob: User
) -> None:
    token = await sync_to_async(bearer)(bob)
    for what in ("follow", "end"):
        async with post(what, job, token) as exchange:
            assert await exchange.start() == 404


def test_without_an_event_loop_it_says_so(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    for what in ("follow", "end"):
        answer = as_alice.post(f"/{what}/{job.public_id}")
        assert answer.status_code == 503
        assert "ASGI" in answer.json()["error"]

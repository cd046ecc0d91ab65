"""The ASGI application around Django: bodies, tokens, and a real uvicorn."""

import asyncio
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from threading import BoundedSemaphore
from threading import Event as ThreadEvent
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
import pytest
import pytest_asyncio
import uvicorn
from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.utils import timezone

from chatflow import signins
from chatflow.access import line as line_module
from chatflow.access.line import Line
from chatflow.asgi import application
from chatflow.auth import sign_link
from chatflow.conf import conf
from chatflow.serving import site
from chatflow.serving.front import hide_token
from chatflow.serving.pool import Pool
from chatflow.signins import at_once
from chatflow.streams import of_job
from chatflow.wire.asgi_types import Receive
from chatflow.workflows import services
from chatflow.workflows.knowledge.readers import isolation
from chatflow.workflows.models import Job
from chatflow.workflows.store.events import append
from chatflow.workflows.streaming.listeners import listeners
from chatflow.wsgi import application as wsgi
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_connections, close_readers, close_streams
from tests.conftest import Bearer
from tests.workflows.knowledge.pdf import laborious_pdf, pdf

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4
# Seconds; much longer than it takes, for machines that are busy.
SOON = 10.0
SEND = "/ai-demo/chat/send"
LOGIN = "/accounts/login/"
SHELF = "/ai-demo/knowledge/documents"
JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(autouse=True)
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """Give the application a pool of its own, whose database connections end with the test."""
    listeners.closing = False
    monkeypatch.setattr(isolation, "_room", isolation._Room())
    pool = Pool(wsgi, THREADS)
    monkeypatch.setattr(application, "pool", pool)
    monkeypatch.setattr(application, "line", Line(at_once()))
    yield pool
    await asyncio.to_thread(close_connections, pool.executor, THREADS)
    await asyncio.to_thread(pool.executor.shutdown)
    isolation.stop()
    await close_streams()


def message(size: int = 0) -> bytes:
    return json.dumps({"message": "hello", "workflow": "echo", "padding": "x" * size}).encode()


async def post(body: bytes | list[bytes], **headers: str) -> tuple[int, Any]:
    exchange = Exchange(application, SEND, method="POST", headers={**JSON, **headers}, body=body)
    async with exchange:
        return await exchange.start(), await exchange.json()


@pytest_asyncio.fixture
async def token(alice: User, bearer: Bearer) -> str:
    return (await sync_to_async(bearer)(alice))["Authorization"]


async def test_it_works(token: str) -> None:
    status, body = await post(message(), Authorization=token)
    assert (status, body["response"]) == (200, "You said: hello")


async def test_a_body_without_a_length(token: str) -> None:
    body = message()
    status, answer = await post([body[:5], b"", body[5:]], Authorization=token)
    assert (status, answer["response"]) == (200, "You said: hello")


async def test_a_wrong_length_is_mended(token: str) -> None:
    status, _ = await post([message()], Authorization=token, **{"Content-Length": "3"})
    assert status == 200


async def test_a_large_body_is_refused(token: str, settings: Any) -> None:
    most = conf.MAX_BODY_BYTES
    for headers in ({}, {"Content-Length": str(most + 1)}):
        chunks = [b"x" * 65536] * (most // 65536 + 1)
        status, body = await post(chunks, Authorization=token, **headers)
        assert status == 413
        assert body["code"] == "too_large"
        assert body["error"] == "What was sent is larger than 1 MB."
        assert body["success"] is False


async def test_the_largest_body_is_not(token: str, settings: Any) -> None:
    fits = message(conf.MAX_BODY_BYTES - len(message()))
    assert len(fits) == conf.MAX_BODY_BYTES
    assert (await post(fits, Authorization=token))[0] == 200


async def test_a_client_that_sends_slowly_holds_no_thread(
    monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    monkeypatch.setattr(site, "BODY_TIMEOUT", 2.0)
    slow = [Exchange(application, SEND, method="POST", headers=JSON) for _ in range(3 * THREADS)]
    for exchange in slow:
        exchange._requests.get_nowait()
        exchange._requests.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        await exchange.__aenter__()
    async with Exchange(application, "/healthz") as quick:
        assert await quick.start() == 200
    assert not any(exchange.task.done() for exchange in slow)
    for exchange in slow:
        assert await exchange.start() == 408
        assert (await exchange.json())["code"] == "timeout"
        await exchange.__aexit__()


async def test_a_client_that_reads_slowly_holds_no_thread() -> None:
    async def stuck(message: Any) -> None:
        await asyncio.sleep(60)

    slow = [Exchange(application, "/accounts/login/") for _ in range(3 * THREADS)]
    for exchange in slow:
        exchange.on_send = stuck
        await exchange.__aenter__()
    async with Exchange(application, "/healthz") as quick:
        assert await quick.start() == 200
    for exchange in slow:
        exchange.task.cancel()


async def test_a_client_that_leaves_early(token: str) -> None:
    exchange = Exchange(application, SEND, method="POST", headers=JSON)
    exchange._requests.get_nowait()
    async with exchange:
        exchange.hang_up()
        await asyncio.wait_for(exchange.task, SOON)
    assert exchange.status == 0


async def test_sign_ins_wait_in_line_and_hold_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    await sync_to_async(User.objects.create_user)("dora", password="right")
    # One at a time, and that takes until this test has looked around.
    hashing_at_once = BoundedSemaphore(1)
    monkeypatch.setattr(signins, "_hashing", lambda: hashing_at_once)
    monkeypatch.setattr(application, "line", Line(1))
    begun, goes_on = asyncio.Event(), ThreadEvent()
    loop = asyncio.get_running_loop()
    hashing = ModelBackend.authenticate

    def hash_slowly(*args: Any, **kwargs: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(SOON)
        return hashing(*args, **kwargs)

    monkeypatch.setattr(ModelBackend, "authenticate", hash_slowly)
    form = await sign_in_form()
    async with AsyncExitStack() as stack:
        visits = [
            await stack.enter_async_context(Exchange(application, LOGIN, **form))
            for _ in range(3 * THREADS)
        ]
        try:
            await asyncio.wait_for(begun.wait(), SOON)
            async with Exchange(application, "/healthz") as quick:
                assert await quick.start() == 200
        finally:
            goes_on.set()
        assert [await each.start() for each in visits] == [302] * len(visits)


async def test_a_line_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "PATIENCE", 0.01)
    queue = Line(1)
    monkeypatch.setattr(application, "line", queue)
    async with queue.place(None), Exchange(application, LOGIN, **await sign_in_form()) as late:
        assert await late.start() == 503
        assert late.headers["retry-after"] == "5"
        assert "in a few seconds" in (await late.read()).decode()


async def sign_in_form() -> dict[str, Any]:
    """Return what Dora sends with her right password."""
    async with Exchange(application, LOGIN) as page:
        await page.start()
    token = page.headers["set-cookie"].partition(";")[0].partition("=")[2]
    headers = {
        "Cookie": f"csrftoken={token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = f"username=dora&password=right&csrfmiddlewaretoken={token}".encode()
    return {"method": "POST", "headers": headers, "body": body}


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set when a document begins to be read."""
    begun = asyncio.Event()

    def watch(receive: Receive, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        original(receive, loop, stop)
        loop.call_soon_threadsafe(begun.set)

    original = site.watch
    monkeypatch.setattr(site, "watch", watch)
    return begun


def upload(token: str, content: bytes) -> Exchange:
    request = httpx.Request("POST", "http://testserver", files={"file": ("a.pdf", content)})
    headers = {"Content-Type": request.headers["Content-Type"], "Authorization": token}
    return Exchange(application, SHELF, method="POST", headers=headers, body=request.read())


async def test_a_client_that_leaves_ends_what_is_read_for_it(
    token: str, reading: asyncio.Event
) -> None:
    async with upload(token, laborious_pdf()) as exchange:
        await asyncio.wait_for(reading.wait(), SOON)
        exchange.hang_up()
        assert await exchange.start() == 503


async def test_many_laborious_documents_hold_nobody_up(
    token: str, bearer: Bearer, bob: User, monkeypatch: pytest.MonkeyPatch, reading: asyncio.Event
) -> None:
    """One is read, at the cost of its own process; the others are refused at once."""
    monkeypatch.setattr(isolation, "CPU_SECONDS", 1)
    uploads = [upload(token, laborious_pdf()) for _ in range(16)]
    async with AsyncExitStack() as stack:
        for exchange in uploads:
            await stack.enter_async_context(exchange)
        await asyncio.wait_for(reading.wait(), SOON)
        async with Exchange(application, "/healthz") as quick:
            assert await quick.start() == 200
        async with upload((await sync_to_async(bearer)(bob))["Authorization"], pdf("words")) as his:
            assert await his.start() == 201
        statuses = sorted([await exchange.start() for exchange in uploads])
        assert statuses == [400, *[503] * 15]
        for exchange in uploads:
            assert exchange.status == 400 or exchange.headers["retry-after"]
            assert (await exchange.json())["code"] in ("invalid", "unavailable")


async def test_headers_that_only_pass_for_a_proxys(token: str) -> None:
    headers = {"Authorization": token, "X_Forwarded_Host": "evil", "Host_": "evil"}
    status, _ = await post(message(), **headers)
    assert status == 200
    scope = site.with_body({"headers": [(b"x_forwarded_proto", b"https"), (b"x-a", b"1")]}, b"")
    assert scope["headers"] == [(b"x-a", b"1")]


async def test_websockets_are_refused() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application({"type": "websocket", "path": "/"}, receive, send)
    assert [each["type"] for each in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    ("query", "logged"),
    [
        (b"", b""),
        (b"a=1", b"a=1"),
        (b"token=secret", b"token=redacted"),
        (b"a=1&token=secret&b=2", b"a=1&token=redacted&b=2"),
        (b"token=secret&token=secret", b"token=redacted&token=redacted"),
        (b"%74oke%6E=secret", b"%74oke%6E=redacted"),
        (b"token=sec%26ret=", b"token=redacted"),
        (b"mytoken=public", b"mytoken=public"),
        (b"a=\xff\xfe", b"a=%FF%FE"),
        (b"a=\xc3\xa4&token=\xc3\xa4", b"a=%C3%A4&token=redacted"),
    ],
)
def test_the_server_never_sees_a_token(query: bytes, logged: bytes) -> None:
    scope: dict[str, Any] = {"query_string": query, "path": "/"}
    inner = hide_token(scope)
    assert scope["query_string"] == logged
    assert unquote_to_bytes(inner["query_string"]) == unquote_to_bytes(query)


async def test_a_query_that_is_not_ascii() -> None:
    async with Exchange(application, "/healthz?a=\xff") as exchange:
        assert await exchange.start() == 200


@pytest.mark.parametrize("path", ["/ai-demo/workflow/stream/x", SEND, "/ai-demo/chat/history/s"])
async def test_preflights(path: str, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    async with Exchange(application, path, method="OPTIONS", headers=headers) as exchange:
        assert await exchange.start() == 200
    assert exchange.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in exchange.headers["access-control-allow-headers"]
    assert "idempotency-key" in exchange.headers["access-control-allow-headers"]


# Under a real server.


@pytest_asyncio.fixture
async def server() -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config("chatflow.asgi:application", port=0, log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server
    if not server.should_exit:
        await close_readers()
    # It would raise them anew for the process around it.
    server._captured_signals.clear()
    server.should_exit = True
    await asyncio.wait_for(task, SOON)


def address(server: uvicorn.Server) -> str:
    host, port = server.servers[0].sockets[0].getsockname()
    return f"http://{host}:{port}"


@pytest_asyncio.fixture
async def http(server: uvicorn.Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address(server)) as client:
        yield client


async def test_the_seeds_curl_commands(http: httpx.AsyncClient, token: str) -> None:
    content = """{
    "message": "create invoice",
    "session_id": "test-123",
    "async": true,
    "actions": true
  }"""
    headers = {"Authorization": token, "Content-Type": "application/json"}
    started = await http.post(SEND, content=content, headers=headers)
    assert started.status_code == 202
    job = started.json()
    assert job["stream_url"].startswith(str(http.base_url))
    await sync_to_async(cancel)(job["job_id"])
    url = f"/ai-demo/workflow/stream/{job['job_id']}"
    answer = await http.get(url, headers={"Authorization": token})
    assert answer.headers["content-type"] == "text/event-stream"
    assert "connection" not in answer.headers
    first, *_, last = [
        json.loads(line.removeprefix("data: "))
        for line in answer.text.split("\n")
        if line.startswith("data: ")
    ]
    assert (first["status"], last["status"]) == ("connected", "failed")


def cancel(public_id: str) -> None:
    services.cancel(Job.objects.get(public_id=public_id))


async def test_no_token_is_logged(
    http: httpx.AsyncClient,
    alice: User,
    make_job: MakeJob,
    run: Any,
    token: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    job = await sync_to_async(lambda: run(make_job(alice)))()
    link = sign_link(job)
    for query in (f"token={link}", f"a=1&%74oken={link}", f"token={link}x"):
        for name in ("stream", "status"):
            await http.get(f"/ai-demo/workflow/{name}/{job.public_id}?{query}")
    await http.get("/ai-demo/workflow/jobs", headers={"Authorization": token})
    # The client is in this process too, and logs what it sends.
    theirs = ("httpx", "httpcore")
    lines = [r.getMessage() for r in caplog.records if not r.name.startswith(theirs)]
    assert sum(record.name == "uvicorn.access" for record in caplog.records) == 7
    assert sum("token=redacted" in line for line in lines) >= 4
    for line in lines:
        assert link.split(".")[1] not in line
        assert token.split()[1] not in line


async def rest(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]


async def test_a_signal_cuts_the_streams_at_once(
    server: uvicorn.Server, http: httpx.AsyncClient, alice: User, make_job: MakeJob
) -> None:
    job = await sync_to_async(make_job)(alice)
    url = f"/ai-demo/workflow/stream/{job.public_id}?token={sign_link(job)}"
    async with http.stream("GET", url) as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await close_readers()
        signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)  # type: ignore[operator, misc]
        server._captured_signals.clear()
        with pytest.raises(httpx.TransportError):
            await asyncio.wait_for(rest(lines), SOON)
    assert server.should_exit


async def test_a_signal_ends_what_is_read_at_once(
    server: uvicorn.Server, http: httpx.AsyncClient, token: str, reading: asyncio.Event
) -> None:
    upload = http.post(
        SHELF, files={"file": ("a.pdf", laborious_pdf())}, headers={"Authorization": token}
    )
    answer = asyncio.create_task(upload)
    await asyncio.wait_for(reading.wait(), SOON)
    signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)  # type: ignore[operator, misc]
    server._captured_signals.clear()
    assert (await asyncio.wait_for(answer, SOON)).status_code == 503


async def test_a_revoked_stream_ends_uncleanly(
    http: httpx.AsyncClient, alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.05)
    job = await sync_to_async(make_job)(alice)
    url = f"/ai-demo/workflow/stream/{job.public_id}?token={sign_link(job)}"
    async with http.stream("GET", url) as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        await sync_to_async(User.objects.update)(is_active=False)
        with pytest.raises(httpx.TransportError):
            await asyncio.wait_for(rest(lines), SOON)
    assert (await http.get(url)).status_code == 401


async def test_a_client_that_reads_nothing_is_bounded_and_dropped(
    server: uvicorn.Server, alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "SEND_TIMEOUT", 0.5)
    words, times = "x" * 100_000, 200
    job = await sync_to_async(make_job)(alice)

    def speak() -> None:
        Job.objects.filter(pk=job.pk).update(
            state="processing", attempt=1, lease_until=timezone.now() + timedelta(minutes=1)
        )
        for _ in range(times):
            append(job.pk, 1, "delta", data={"delta": words})

    await sync_to_async(speak)()
    host, port = server.servers[0].sockets[0].getsockname()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, port))
        path = f"/ai-demo/workflow/stream/{job.public_id}?token={sign_link(job)}"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        held = 0
        async with asyncio.timeout(SOON):
            while not server.server_state.connections:
                await asyncio.sleep(0.01)
            while server.server_state.connections:
                for protocol in server.server_state.connections:
                    held = max(held, protocol.transport.get_write_buffer_size())
                await asyncio.sleep(0.01)
    assert 0 < held < 4 * len(words)
    assert len(of_job.open_streams) == 0

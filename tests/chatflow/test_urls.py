"""The API and the streams in somebody's project: below its prefix, beside its names."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from html import unescape
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client
from django.urls import get_script_prefix, include, path, reverse, set_script_prefix

from chatflow.access.tokens import make_token
from chatflow.answers.errors import is_api
from chatflow.dialects import dialect_at
from chatflow.models import Token
from chatflow.streams.of_job import open_streams
from chatflow.web import with_streams
from chatflow.wire.addresses import document_page, job_page
from chatflow.wire.asgi_types import Application
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.models import Job
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_connections, close_streams
from tests.configure import configure
from tests.conftest import Bearer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

ROOT = "/team/assistant"
JSON = {"Content-Type": "application/json"}


def own(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse(f"{request.path_info}?{request.META['QUERY_STRING']}")


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


# What a project may well call its own.
urlpatterns = [
    path("sign-in/", own, name="login"),
    path("status/<str:job_id>", own, name="status"),
    path("send", own, name="send"),
    path("home/", own, name="home"),
    path("chat/stream", own, name="stream_all"),
    path("v1/users", missing, name="users"),
    path("team/assistant/", include("chatflow.api")),
    path("llm/", include("chatflow.protocols")),
]


@pytest.fixture(autouse=True)
def project(settings: Any) -> None:
    """Let all else be as ``startproject`` makes it."""
    settings.LOGIN_URL = "/sign-in/"
    for name in ("ASGI_APPLICATION", "CORS_ALLOWED_ORIGINS", "SPECTACULAR_SETTINGS"):
        delattr(settings, name)
    settings.MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]


@pytest_asyncio.fixture
async def application(monkeypatch: pytest.MonkeyPatch, settings: Any) -> AsyncIterator[Application]:
    """Return the project's ASGI application; no database connection of it outlives the test."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    configure(settings, WEB_THREADS=2)
    made: Any = with_streams(get_asgi_application())
    yield made
    await asyncio.to_thread(close_connections, made.threads.executor, 2)
    await asyncio.to_thread(made.threads.executor.shutdown)
    await close_streams()


Call = Callable[..., Exchange]


@pytest_asyncio.fixture
async def call(application: Application, bearer: Bearer, alice: User) -> Call:
    """Return what asks as Alice."""
    token = await sync_to_async(bearer)(alice)

    def call(url: str, *, method: str = "", **body: Any) -> Exchange:
        content = json.dumps(body).encode() if body else b""
        return Exchange(
            application,
            url.removeprefix("http://testserver"),
            method=method or ("POST" if body else "GET"),
            headers={**token, **JSON, "Content-Length": str(len(content))},
            body=content,
        )

    return call


async def asked(exchange: Exchange) -> Any:
    async with exchange:
        return await exchange.json()


def send(client: Client, **body: Any) -> Any:
    body = {"message": "hello", "workflow": "echo", **body}
    return client.post(f"{ROOT}/chat/send", body, content_type="application/json").json()


@pytest.mark.parametrize("prefix", [None, "/chat"])
async def test_it_works(call: Call, settings: Any, prefix: str | None) -> None:
    settings.FORCE_SCRIPT_NAME = prefix
    root = f"{prefix or ''}{ROOT}"
    body = {"message": "hello", "workflow": "echo", "session_id": "s", "async": True}
    started = await asked(call(f"{root}/chat/send", **body))
    job = started["job_id"]
    assert started["stream_url"].startswith(f"http://testserver{root}/workflow/stream/{job}?")
    stream = call(started["stream_url"])
    async with call(f"{root}/chat/stream") as user_stream, stream:
        frames, changes = stream.frames(), user_stream.frames()
        assert (await anext(changes))["data"]["status"] == "connected"
        assert (await anext(frames))["data"]["status"] == "connected"
        assert stream.scope["query_string"] == b"token=redacted"
        assert len(open_streams) == 2
        status = await asked(call(started["status_url"]))
        assert status["data"]["state"] == "queued"
        cancelled = call(f"{root}/workflow/cancel/{job}", method="POST")
        assert (await asked(cancelled))["data"]["state"] == "cancelled"
        assert [frame async for frame in frames][-1]["data"]["code"] == "cancelled"
        async for change in changes:
            if change["data"].get("code") == "cancelled":
                break
    said = await asked(call(f"{root}/chat/history/s"))
    assert [each["content"] for each in said["messages"]][:1] == ["hello"]


async def test_the_prefix_of_a_proxy(call: Call, settings: Any) -> None:
    configure(settings, TRUST_PROXY=True)
    body = {"message": "hello", "workflow": "echo", "async": True}
    started = await asked(call(f"{ROOT}/chat/send", **body))
    told = [(b"x-forwarded-prefix", b"/chat")]
    for given in ("", "/chat"):
        exchange = call(given + started["stream_url"].removeprefix("http://testserver"))
        exchange.scope["headers"] += told
        async with exchange:
            assert await exchange.start() == 200


async def test_the_projects_own_paths_are_left_alone(application: Application) -> None:
    for asked_for in ("/chat/stream?token=of-its-own", "/home/?token=%74"):
        async with Exchange(application, asked_for) as exchange:
            assert (await exchange.read()).decode() == asked_for
            assert exchange.scope["query_string"].decode() == asked_for.partition("?")[2]


async def test_without_the_streams_a_refusal_says_what_to_write(as_alice: Client) -> None:
    for asked_for in ("workflow/stream/x", "chat/stream"):
        answer = await sync_to_async(as_alice.get)(f"{ROOT}/{asked_for}")
        assert answer.status_code == 503
        assert "application = with_streams(get_asgi_application())" in answer.json()["error"]


def test_the_projects_names_are_its_own() -> None:
    assert reverse("login") == "/sign-in/"
    assert reverse("status", args=["x"]) == "/status/x"
    assert reverse("chatflow:status", args=["x"]) == f"{ROOT}/workflow/status/x"


def test_errors_are_in_the_envelope_there_only(anonymous: Client) -> None:
    for client in (anonymous, Client(enforce_csrf_checks=True)):
        answer = client.get(f"{ROOT}/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert anonymous.get(f"{ROOT}/workflow/jobs").json()["code"] == "unauthenticated"
    for elsewhere in ("/nothing", "/ai-demo/nothing", "/v1/users"):
        assert anonymous.get(elsewhere)["Content-Type"].startswith("text/html")


def test_whose_a_path_is() -> None:
    assert is_api(f"{ROOT}/nothing")
    assert is_api("/llm/v1/nothing")
    assert not is_api("/v1/models")
    assert not is_api("/send")
    assert dialect_at("/v1/models") is None
    found = dialect_at("/llm/v1/nothing")
    assert found is not None
    assert found.name == "chat-completions"


@pytest.mark.parametrize("page", ["chat/", "chat/example/"])
def test_pages_call_it_there(alice: User, page: str) -> None:
    client = Client()
    assert client.get(f"{ROOT}/{page}")["Location"] == f"/sign-in/?next={ROOT}/{page}"
    client.force_login(alice)
    text = unescape(client.get(f"{ROOT}/{page}").content.decode())
    _, _, rest = text.partition('data-urls="')
    called, _ = json.JSONDecoder().raw_decode(rest)
    assert called["send"] == f"{ROOT}/chat/send"
    assert all(url.startswith(f"{ROOT}/") for url in called.values())
    # There are no tokens' page, no schema, no admin, and nothing to sign out by.
    assert "sign-out" not in text
    assert "/ai-demo/" not in text.partition("<script")[0]
    assert page != "chat/" or 'data-login="/sign-in/"' in text


def test_what_is_stored_has_the_path_without_a_prefix(alice: User) -> None:
    document = Document(pk=UUID(int=1), title="A")
    prefix = get_script_prefix()
    set_script_prefix("/chat/")
    try:
        assert document.page == document_page(document.pk)
        assert document.page == f"{ROOT}/knowledge/pages/{UUID(int=1)}"
        assert get_script_prefix() == "/chat/"
    finally:
        set_script_prefix(prefix)
    # Here is no admin.
    assert job_page(1) == ""


@pytest.mark.urls("tests.chatflow.serving.test_front")
def test_without_the_api_a_document_has_no_page() -> None:
    assert Document(pk=UUID(int=1), title="A").page == ""


def test_a_limited_token_is_not_for_endpoints_of_the_same_name(alice: User) -> None:
    from chatflow.access.scopes import _may_call
    from chatflow.wire.routes import find

    token, _ = make_token(alice, name="x", scope=Token.Scope.SEND)
    assert _may_call(token, find(f"{ROOT}/chat/send"), "POST")
    assert not _may_call(token, find("/send"), "POST")


async def test_a_stream_of_another_protocol(
    call: Call, run: Callable[[Job], Job], alice: User
) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    async with call("/llm/v1/chat/completions", **body) as exchange:
        assert await exchange.start() == 200
        assert exchange.headers["content-type"] == "text/event-stream"
        assert not {"content-length", "x-chatflow-opening"} & exchange.headers.keys()
        await sync_to_async(run)(await Job.objects.aget())
        text = (await exchange.read()).decode()
    assert "You said: hello" in text
    assert text.endswith("data: [DONE]\n\n")


async def test_the_end_of_a_job_in_another_protocol(call: Call, run: Callable[[Job], Job]) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
    async with call("/llm/v1/chat/completions", **body) as exchange:
        while not open_streams:
            await asyncio.sleep(0.01)
        await sync_to_async(run)(await Job.objects.aget())
        answer = await exchange.json()
    assert answer["choices"][0]["message"]["content"] == "You said: hello"


async def test_an_error_in_an_openings_place(
    call: Call, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the middleware that has the last word."""
    settings.MIDDLEWARE = [f"{__name__}.forbidding", *settings.MIDDLEWARE]
    application = with_streams(get_asgi_application())
    body = {"model": "echo", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    exchange = call("/llm/v1/chat/completions", **body)
    exchange._application = application
    async with exchange:
        assert await exchange.read() == b"Not now."
    assert exchange.status == 403
    assert not open_streams


async def test_an_answer_with_a_header_like_an_openings(call: Call, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.marking", *settings.MIDDLEWARE]
    exchange = call("/llm/v1/models")
    exchange._application = with_streams(get_asgi_application())
    async with exchange:
        assert (await exchange.json())["object"] == "list"
    assert exchange.status == 200
    assert "x-chatflow-opening" not in exchange.headers


def marking(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["X-Chatflow-Opening"] = "1"
        return response

    return middleware


def forbidding(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        get_response(request)
        return HttpResponse("Not now.", status=403)

    return middleware


async def test_where_the_agents_card_is(application: Application) -> None:
    async with Exchange(application, "/llm/.well-known/agent-card.json") as exchange:
        card = await exchange.json()
    assert card["supportedInterfaces"][0]["url"] == "http://testserver/llm/a2a"
    assert not listeners.closing

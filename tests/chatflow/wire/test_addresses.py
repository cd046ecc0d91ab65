"""What proxies put in front of the site: hosts, ports and prefixes."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import reverse

from chatflow.access.sign_in_links import make_link
from chatflow.asgi import application
from chatflow.serving.pool import Pool
from chatflow.wire.addresses import path_info, placed, seen_by_client
from chatflow.wire.asgi_types import Application
from chatflow.workflows import Context, workflow
from chatflow.workflows.cluster.fetch import run_job
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import Job
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Worker
from chatflow.workflows.streaming.listeners import listeners
from chatflow.wsgi import application as wsgi
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_connections, close_streams
from tests.configure import configure
from tests.conftest import Bearer

SEND = "/ai-demo/chat/send"
STREAM = "/ai-demo/workflow/stream/workflow_1"


def scope(path: str, root_path: str = "", **headers: str) -> dict[str, Any]:
    named = {"host": "chat.example.com", **{k.replace("_", "-"): v for k, v in headers.items()}}
    given = [(name.encode(), value.encode()) for name, value in named.items()]
    return {"path": path, "root_path": root_path, "headers": given}


def seen(*given: Any, **headers: str) -> tuple[str, str, str]:
    """Return the host, the prefix and the site's own path."""
    found = seen_by_client(scope(*given, **headers))
    own = path_info(found)
    assert found["path"] == found["root_path"] + own
    return dict(found["headers"])[b"host"].decode(), found["root_path"], own


def test_it_works() -> None:
    plain = scope(SEND)
    assert seen_by_client(plain) is plain
    assert seen(SEND) == ("chat.example.com", "", SEND)


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        ("/chat", f"/chat{SEND}"),  # as ASGI wants it, and uvicorn does it
        ("/chat", SEND),  # as servers do it that leave the prefix out
        ("/chat", f"/chat/chat{SEND}"),  # a proxy that doesn't take it away, before uvicorn
        ("/chat/", f"/chat/{SEND}"),
        ("/chat/", f"/chat{SEND}"),
        ("chat", f"chat{SEND}"),
    ],
)
def test_the_servers_own_prefix(root_path: str, path: str) -> None:
    assert seen(path, root_path) == ("chat.example.com", "/chat", SEND)


@pytest.mark.parametrize("prefix", ["/ai-demo", "/a", "/ai-demo/chat"])
def test_a_prefix_that_looks_like_a_path_of_the_site(prefix: str) -> None:
    assert seen(f"{prefix}{SEND}", prefix)[1:] == (prefix, SEND)
    assert seen(f"{prefix}/admin/", prefix)[1:] == (prefix, "/admin/")


def test_the_root_itself() -> None:
    assert seen("/chat/", "/chat")[1:] == ("/chat", "/")
    assert seen("/chat", "/chat")[1:] == ("/chat", "/")
    assert seen(SEND, "/")[1:] == ("", SEND)


@pytest.mark.parametrize(
    ("told", "prefix"),
    [
        ("/chat", "/chat"),
        ("/chat/", "/chat"),
        ("/team/chat, /inner", "/team/chat"),
        ("/", ""),
        ("", ""),
        ("chat", ""),
        ("//evil.example", ""),
        ("/chat//x", ""),
        ("/a b", ""),
        ("/chat\\x", ""),
    ],
)
def test_a_prefix_that_the_proxy_tells(told: str, prefix: str, settings: Any) -> None:
    assert seen(SEND, x_forwarded_prefix=told) == ("chat.example.com", "", SEND)
    configure(settings, TRUST_PROXY=True)
    assert seen(SEND, x_forwarded_prefix=told) == ("chat.example.com", prefix, SEND)
    assert seen(prefix + SEND, x_forwarded_prefix=told)[1:] == (prefix, SEND)


def test_who_runs_the_server_is_believed_first(settings: Any) -> None:
    configure(settings, TRUST_PROXY=True)
    assert seen(f"/b{SEND}", "/b", x_forwarded_prefix="/c")[1:] == ("/b", SEND)
    settings.FORCE_SCRIPT_NAME = "/a"
    assert seen(f"/b{SEND}", "/b", x_forwarded_prefix="/c")[1:] == ("/a", SEND)
    assert seen(SEND)[1:] == ("/a", SEND)


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({"host": "chat.example.com:8443"}, "chat.example.com:8443"),
        ({"x_forwarded_port": "8443"}, "chat.example.com:8443"),
        ({"x_forwarded_port": "8443, 80"}, "chat.example.com:8443"),
        ({"x_forwarded_host": "www.example.com", "x_forwarded_port": "81"}, "www.example.com:81"),
        (
            {"x_forwarded_host": "www.example.com:82", "x_forwarded_port": "81"},
            "www.example.com:82",
        ),
        ({"x_forwarded_host": "www.example.com, inner"}, "www.example.com"),
        ({"x_forwarded_host": "www.example.com:443"}, "www.example.com"),
        ({"x_forwarded_host": "[::1]", "x_forwarded_port": "81"}, "[::1]:81"),
        ({"x_forwarded_host": "[::1]:82", "x_forwarded_port": "81"}, "[::1]:82"),
        # Behind another proxy that ends TLS, this one names the port of its own.
        ({"x_forwarded_port": "80", "x_forwarded_proto": "https"}, "chat.example.com"),
        ({"x_forwarded_port": "443"}, "chat.example.com"),
        ({"x_forwarded_port": "http"}, "chat.example.com"),
        ({"x_forwarded_port": ""}, "chat.example.com"),
        ({"x_forwarded_host": ""}, "chat.example.com"),
    ],
)
def test_hosts_and_ports(headers: dict[str, str], host: str, settings: Any) -> None:
    assert seen("/", **headers)[0] == headers.get("host", "chat.example.com")
    configure(settings, TRUST_PROXY=True)
    assert seen("/", **headers)[0] == host


def test_what_was_believed_is_used_up(settings: Any) -> None:
    configure(settings, TRUST_PROXY=True)
    found = seen_by_client(scope("/", x_forwarded_host="a.example", x_forwarded_port="81"))
    assert found["headers"] == [(b"host", b"a.example:81")]


def test_what_is_cited_is_placed() -> None:
    stored = [{"url": "/invoices/1/"}, {"url": "https://example.com/"}, {"url": "//x.example"}, {}]
    assert placed(stored, "/chat") == [{"url": "/chat/invoices/1/"}, *stored[1:]]
    assert placed(stored, "") is stored
    assert stored[0] == {"url": "/invoices/1/"}


# The whole site below a prefix.


@pytest_asyncio.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """Give the application a pool of its own, whose database connections end with the test."""
    listeners.closing = False
    pool = Pool(wsgi, 2)
    monkeypatch.setattr(application, "pool", pool)
    yield pool
    await asyncio.to_thread(close_connections, pool.executor, 2)
    await asyncio.to_thread(pool.executor.shutdown)
    await close_streams()


def by_header(settings: Any) -> Application:
    configure(settings, TRUST_PROXY=True)

    async def proxied(scope: Any, receive: Any, send: Any) -> None:
        told = [*scope["headers"], (b"x-forwarded-prefix", b"/chat"), (b"x-forwarded-port", b"81")]
        await application({**scope, "headers": told}, receive, send)

    return proxied


def by_root_path(settings: Any) -> Application:
    async def served(scope: Any, receive: Any, send: Any) -> None:
        host = [(k, b"testserver:81" if k == b"host" else v) for k, v in scope["headers"]]
        below = {"root_path": "/chat", "path": f"/chat{scope['path']}", "headers": host}
        await application({**scope, **below}, receive, send)

    return served


def by_setting(settings: Any) -> Application:
    settings.FORCE_SCRIPT_NAME = "/chat"

    async def served(scope: Any, receive: Any, send: Any) -> None:
        host = [(k, b"testserver:81" if k == b"host" else v) for k, v in scope["headers"]]
        await application({**scope, "headers": host}, receive, send)

    return served


@pytest.fixture(params=[by_header, by_root_path, by_setting])
def below(request: pytest.FixtureRequest, settings: Any, pool: Pool) -> Application:
    """The site behind a proxy that takes /chat away, on port 81."""
    application: Application = request.param(settings)
    return application


def offer(ctx: Context) -> Any:
    """Offer links to this site, one of them as reverse() knows it."""
    return ctx.reply(
        "Look.",
        actions=[
            {"type": "link", "label": "A", "url": reverse("invoicing:invoices")},
            {"type": "link", "label": "B", "url": "https://example.com/"},
        ],
        sources=[{"title": "C", "url": "/knowledge/7#chunk-1"}],
    )


URLS = ["/chat/invoices/", "https://example.com/", "/chat/knowledge/7#chunk-1"]


def urls(body: dict[str, Any]) -> list[str]:
    return [each["url"] for each in [*body["actions"], *body["sources"]]]


@pytest_asyncio.fixture
async def headers(alice: User, bearer: Bearer, flows: None) -> dict[str, str]:
    workflow("offer")(offer)
    token = await sync_to_async(bearer)(alice)
    return {**token, "Content-Type": "application/json"}


async def call(site: Application, path: str, headers: dict[str, str], body: Any = None) -> Any:
    method, content = ("GET", b"") if body is None else ("POST", json.dumps(body).encode())
    async with Exchange(site, path, method=method, headers=headers, body=content) as exchange:
        return await exchange.json()


def own(link: str) -> str:
    """Return what the proxy hands on of an address."""
    parts = urlsplit(link)
    assert (parts.netloc, parts.path[:6]) in [("testserver:81", "/chat/"), ("", "/chat/")]
    return parts.path.removeprefix("/chat") + (f"?{parts.query}" if parts.query else "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("inline")
async def test_links_lead_through_the_prefix(below: Application, headers: dict[str, str]) -> None:
    body = {"message": "hello", "workflow": "offer", "session_id": "s", "async": True}
    started = await call(below, SEND, headers, body)
    async with Exchange(below, own(started["stream_url"])) as exchange:
        frames = [frame["data"] async for frame in exchange.frames()]
    assert urls(frames[-1]) == URLS
    status = await call(below, own(started["status_url"]), {})
    assert urls(status["data"]) == URLS
    history = await call(below, "/ai-demo/chat/history/s", headers)
    assert urls(history["messages"][1]) == URLS
    answered = await call(below, SEND, headers, {**body, "async": False})
    assert urls(answered) == URLS


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("inline")
async def test_what_is_stored_has_no_prefix(below: Application, headers: dict[str, str]) -> None:
    """Not even where the request that has it runs the workflow."""
    for mode in (True, False):
        await call(below, SEND, headers, {"message": "x", "workflow": "offer", "async": mode})
    async for job in Job.objects.all():
        assert [each["url"] for each in job.actions] == ["/invoices/", "https://example.com/"]


def test_a_projects_own_links_keep_the_prefix() -> None:
    """Those that it makes outside of requests, as for a mail; what we store has none."""
    code = "import django; django.setup(); from django.urls import reverse; print(reverse('login'))"
    code += "; from uuid import UUID; from chatflow.wire.addresses import document_page"
    code += "; print(document_page(UUID(int=1)))"
    # Cookies have it: they are the same for all requests.
    code += "; from django.conf import settings as of"
    code += "; print(of.SESSION_COOKIE_PATH, of.CSRF_COOKIE_PATH)"
    named = {"DJANGO_SETTINGS_MODULE": "chatflow.settings", "FORCE_SCRIPT_NAME": "/chat"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | named,
        capture_output=True,
        text=True,
        check=True,
    )
    page = f"/ai-demo/knowledge/pages/{UUID(int=1)}"
    assert done.stdout == f"/chat/accounts/login/\n{page}\n/chat /chat\n"


@pytest.mark.django_db(transaction=True)
def test_links_of_a_worker_have_no_prefix(make_job: MakeJob, alice: User, flows: None) -> None:
    """Its process has that of FORCE_SCRIPT_NAME: Django gives it to all."""
    workflow("offer")(offer)
    job = make_job(alice, workflow="offer")
    worker = Worker("w", host="here")
    claimed = lifecycle.claim((), worker, is_async=False)
    assert claimed == job
    with override_script_prefix("/chat/"):
        run_job(claimed)
        path = urlsplit(make_link(alice)).path
    job.refresh_from_db()
    assert job.actions[0]["url"] == "/invoices/"
    assert path == "/accounts/once/"


@pytest.mark.parametrize("prefix", [None, "/chat"])
def test_the_longest_path_of_a_cookie_counts(settings: Any, prefix: str | None) -> None:
    """Browsers name it first, and Django takes the last."""
    settings.FORCE_SCRIPT_NAME = prefix
    sent = b"a=own; b=1;a=another site's ; c"
    headers = [(b"host", b"testserver"), (b"cookie", sent)]
    seen = seen_by_client({"path": "/", "root_path": "", "headers": headers})
    assert dict(seen["headers"])[b"cookie"] == (b"a=own; b=1; c" if prefix else sent)


@pytest.mark.django_db(transaction=True)
async def test_documents_lead_through_the_prefix(
    below: Application, headers: dict[str, str], alice: User
) -> None:
    await sync_to_async(store)(b"# Deploy\nWords.", "text/markdown", owner=alice)
    [document] = (await call(below, "/ai-demo/knowledge/documents", headers))["documents"]
    own(document["url"])


@pytest.mark.django_db(transaction=True)
async def test_refusals_are_in_the_envelope(below: Application, headers: dict[str, str]) -> None:
    answer = await call(below, "/ai-demo/nothing", headers)
    assert (answer["success"], answer["code"]) == (False, "not_found")
    answer = await call(below, STREAM, headers)
    assert (answer["success"], answer["code"]) == (False, "not_found")


@pytest.mark.django_db(transaction=True)
async def test_the_schema_says_where_it_is(below: Application) -> None:
    _, _, shown = await fetch(below, "/api/schema/", {})
    assert "\nservers:\n- url: /chat\n" in shown
    assert f"\n  {SEND}:\n" in shown


@pytest.mark.usefixtures("pool")
async def test_at_the_root_the_schema_says_nothing() -> None:
    _, _, shown = await fetch(application, "/api/schema/", {})
    assert "servers:" not in shown


async def fetch(site: Application, path: str, cookies: dict[str, str]) -> tuple[int, str, str]:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    async with Exchange(site, path, headers={"Cookie": cookie}) as exchange:
        status = await exchange.start()
        return status, exchange.headers.get("location", ""), (await exchange.read()).decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "page",
    ["/accounts/login/", "/ai-demo/chat/", "/ai-demo/chat/example/", "/invoices/", "/admin/"],
)
async def test_every_link_of_a_page_is_there(below: Application, alice: User, page: str) -> None:
    alice.is_staff = alice.is_superuser = True
    await sync_to_async(alice.save)()
    client = Client()
    await sync_to_async(client.force_login)(alice)
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    status, _, text = await fetch(below, page, cookies)
    assert status == 200
    linked = re.findall(r'<(?:a|link|script|img)\b[^>]* (?:href|src)="(/[^"]*)"', text)
    assert linked
    for link in linked:
        status, location, _ = await fetch(below, own(unescape(link)), cookies)
        assert status == 200 or own(location), link
    for posted in re.findall(r' action="(/[^"]*)"', text):
        assert own(posted) in ("/accounts/logout/", "/admin/logout/")
    _, _, rest = unescape(text).partition('data-urls="')
    if rest:
        called, _ = json.JSONDecoder().raw_decode(rest)
        assert all(url.startswith("/chat/ai-demo/") for url in called.values())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["/", "/ai-demo/chat", "/ai-demo/chat/", "/admin", "/admin/"])
async def test_every_redirect_leads_there(below: Application, page: str) -> None:
    status, location, _ = await fetch(below, page, {})
    assert status in (301, 302)
    own(location)


@pytest.mark.django_db(transaction=True)
async def test_signing_in_and_out(below: Application, alice: User) -> None:
    alice.set_password("secret")
    await sync_to_async(alice.save)()
    async with Exchange(below, "/accounts/login/") as exchange:
        page = (await exchange.read()).decode()
        cookie = exchange.headers["set-cookie"].partition(";")[0]
    form = {"csrfmiddlewaretoken": re.findall('csrfmiddlewaretoken" value="([^"]+)"', page)[0]}
    form |= {"username": "alice", "password": "secret"}
    headers = {
        "Cookie": cookie,
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": "http://testserver:81",
    }
    for path, target in (("login", "/chat/ai-demo/chat/"), ("logout", "/chat/accounts/login/")):
        body = urlencode(form).encode()
        post = Exchange(below, f"/accounts/{path}/", method="POST", headers=headers, body=body)
        async with post as exchange:
            assert await exchange.start() == 302
            assert exchange.headers["location"] == target


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("pool")
async def test_signing_in_on_another_port(settings: Any, alice: User) -> None:
    """The form's Origin is held against the host that the client came by."""
    configure(settings, TRUST_PROXY=True)
    client = Client()
    await sync_to_async(client.force_login)(alice)
    headers = {
        "Content-Type": "application/json",
        "Cookie": f"sessionid={client.cookies['sessionid'].value}",
        "Origin": "http://testserver:8443",
        "X-Forwarded-Port": "8443",
    }
    answer = await call(application, SEND, headers, {"message": "hello", "workflow": "echo"})
    assert answer["success"] is True

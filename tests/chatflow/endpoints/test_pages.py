"""The pages, and what the browser may load."""

import re
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.endpoints.pages import suggested
from tests.configure import configure

POLICY = {
    "default-src 'self'",
    "img-src 'self' data:",
    "style-src 'self' 'unsafe-inline'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
}


# What the site's own pages may load.
STRICT = POLICY - {"style-src 'self' 'unsafe-inline'"} | {"style-src 'self'"}


def policy(answer: Any) -> set[str]:
    return set(answer.headers.get("Content-Security-Policy", "").split("; "))


@pytest.fixture
def signed_in(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_the_chat_page(signed_in: Client) -> None:
    page = signed_in.get("/ai-demo/chat/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "/ai-demo/chat/send" in text
    assert "Echo" in text
    # Where images may be loaded from that a model names.
    assert 'data-image-paths="/ai-demo/knowledge/files/ /static/"' in text


def test_the_example_page(signed_in: Client) -> None:
    assert signed_in.get("/ai-demo/chat/example/").status_code == 200


@pytest.mark.parametrize("path", ["/ai-demo/chat/", "/ai-demo/chat/example/"])
def test_pages_ask_to_sign_in(anonymous: Client, path: str) -> None:
    answer = anonymous.get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next={path}"


def refuse(settings: Any) -> None:
    configure(settings, PERMISSION_CLASSES=["rest_framework.permissions.IsAdminUser"])


def test_who_may_not_come_in_sees_why(signed_in: Client, settings: Any) -> None:
    """On a page, also below the API's path; a program has it in the envelope."""
    refuse(settings)
    page = signed_in.get("/ai-demo/chat/", headers={"Accept": "text/html"})
    assert (page.status_code, policy(page)) == (403, STRICT)
    assert "You do not have permission" in page.content.decode()
    assert signed_in.get("/ai-demo/chat/").json()["code"] == "forbidden"


def test_sign_in_and_out(db: None) -> None:
    User.objects.create_user("dora", password="a long password")
    client = Client()
    assert client.get("/accounts/login/").status_code == 200
    form = {"username": "dora", "password": "a long password"}
    assert client.post("/accounts/login/", form)["Location"] == "/ai-demo/chat/"
    assert client.get("/ai-demo/chat/").status_code == 200
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    assert client.get("/ai-demo/chat/").status_code == 302


@pytest.mark.parametrize("path", ["/", "/ai-demo/chat"])
def test_short_ways_to_the_chat(anonymous: Client, path: str) -> None:
    assert anonymous.get(path)["Location"] == "/ai-demo/chat/"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/accounts/login/", STRICT), ("/api/docs/", POLICY), ("/admin/login/", POLICY)],
)
def test_nothing_comes_from_another_host(
    anonymous: Client, db: None, path: str, expected: set[str]
) -> None:
    page = anonymous.get(path)
    assert page.status_code == 200
    assert policy(page) == expected
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page.content.decode())
    # The policy forbids scripts in the page.
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", page.content.decode())


@pytest.mark.parametrize("path", ["chat/", "chat/example/"])
def test_the_own_pages_have_no_style_in_line_either(signed_in: Client, path: str) -> None:
    page = signed_in.get(f"/ai-demo/{path}")
    assert policy(page) == STRICT
    assert not re.search(r"<style|\sstyle=|\son\w+=", page.content.decode())


@pytest.mark.parametrize("path", ["/healthz", "/ai-demo/workflow/jobs", "/nothing"])
def test_every_answer_has_the_policy(anonymous: Client, db: None, path: str) -> None:
    assert policy(anonymous.get(path)) == POLICY


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/nothing", {}, 404), ("/", {"Host": "evil.example"}, 400)],
)
def test_but_not_the_pages_that_debug(
    settings: Any, db: None, path: str, headers: dict[str, str], status: int
) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = Client(headers=headers).get(path)
    assert (answer.status_code, policy(answer)) == (status, {""})


def test_the_schema_names_every_path(anonymous: Client) -> None:
    schema = anonymous.get("/api/schema/").content.decode()
    for path in ("chat/send", "chat/history/", "workflow/status/", "workflow/stream/"):
        assert f"/ai-demo/{path}" in schema
    assert "/ai-demo/chat/session/{session_id}/export:" in schema
    for way in ("bearer", "cookie"):
        assert way in schema


@pytest.mark.parametrize(
    "path",
    [
        *("chat/", "workflow/jobs", "workflow/approvals", "knowledge/documents"),
        *("chat/history/none", "nothing", "chat/send"),
    ],
)
def test_nobody_keeps_an_answer(signed_in: Client, path: str) -> None:
    answer = signed_in.get(f"/ai-demo/{path}")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_static_files_may_be_kept(signed_in: Client) -> None:
    with closing(signed_in.get("/static/chatflow/css/chat.css")) as answer:
        assert "max-age" in answer.headers["Cache-Control"]


def test_the_suggestions_are_workflows_that_are_there() -> None:
    def named(name: str, *triggers: str) -> Any:
        return SimpleNamespace(name=name, triggers=triggers)

    ours = [named("chat"), named("demo_long", "long demo")]
    count = named("count", "count something")
    found = suggested([*ours, count, named("silent")])
    assert found == {"names": {"chat", "demo_long", "count", "silent"}, "others": [count]}
    assert len(suggested([named(f"w{n}", "go") for n in range(9)])["others"]) == 3

"""Clients of OpenAI's protocols, in this process: a job that they start runs at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.wire.openings import ON_LOOP
from chatflow.workflows import Context, workflow
from chatflow.workflows.streaming.listeners import listeners
from tests.conftest import Bearer

Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def more_flows(flows: None) -> None:
    """Register workflows that stream, choose and want approval."""

    @workflow("talk")
    def talk(ctx: Context) -> Any:
        ctx.progress(10, "Thinking")
        ctx.write("One ")
        ctx.write("two")
        return ctx.reply("One two three", sources=[{"title": "T", "url": "/t"}])

    @workflow("pick")
    def pick(ctx: Context) -> str:
        return f"You chose {ctx.choose('Which?', ['Red', 'Blue'])}."

    @workflow("pay")
    def pay(ctx: Context) -> str:
        approval = ctx.approve("Pay it?", details={"total": 7})
        return f"{approval.approved}: {approval.reason}"


@pytest.fixture(autouse=True)
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a process that does not shut down, as the tests of streams leave it."""
    monkeypatch.setattr(listeners, "closing", False)


@pytest.fixture
def make_ask(bearer: Bearer) -> Callable[[User], Ask]:
    """Return what makes a client of a user's."""

    def make(user: User) -> Ask:
        # As under uvicorn.
        on_loop: Any = {ON_LOOP: True}
        client = Client(headers=bearer(user), raise_request_exception=False, **on_loop)

        def ask(path: str, body: Any = None, method: str = "POST", **headers: str) -> Any:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is None:
                return client.generic(method, f"/v1/{path}", headers=given)
            return client.post(f"/v1/{path}", body, "application/json", headers=given)

        return ask

    return make


@pytest.fixture
def ask(make_ask: Callable[[User], Ask], alice: User) -> Ask:
    """Return what asks as Alice does."""
    return make_ask(alice)


@pytest.fixture
def ask_as_bob(make_ask: Callable[[User], Ask], bob: User) -> Ask:
    return make_ask(bob)

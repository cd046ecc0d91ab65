"""What the engine's tests share: a registry that forgets, a conversation, a model's server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection

from chatflow.workflows import Context, WorkflowError, registry, workflow
from chatflow.workflows.running import event_writer, watchdog
from chatflow.workflows.running.attempt import Attempt
from tests.configure import configure
from tests.openai_server import OpenAIServer
from tests.workflows.chat import Chat


@pytest.fixture(scope="session", autouse=True)
def _let_go_of_the_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Cut the connections of the watchdog's threads, which live as long as the process.

    PostgreSQL doesn't drop a database that is in use.
    """
    yield
    if connection.vendor == "postgresql":
        name = connection.settings_dict["NAME"]
        with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
            # The doorbell would be back at once.
            quoted = connection.ops.quote_name(name)
            cursor.execute(f"ALTER DATABASE {quoted} ALLOW_CONNECTIONS false")
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
            connection.close()


@pytest.fixture(autouse=True)
def _forget_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))


@pytest.fixture(autouse=True)
def _every_word_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test writes is shown at once, so that its log doesn't depend on the clock."""
    monkeypatch.setattr(event_writer, "PACE", 0.0)


@pytest.fixture
def unkept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run attempts without the watchdog's thread, which can't see what a test hasn't committed."""

    @contextmanager
    def running(attempt: Attempt) -> Iterator[None]:
        try:
            yield
        finally:
            attempt.close()

    monkeypatch.setattr(watchdog, "running", running)


@pytest.fixture
def outcomes() -> None:
    """Workflows with every outcome: ``echo``, ``fail``, ``crash``, and ``ask``, which asks."""

    @workflow("echo")
    def echo(ctx: Context) -> str:
        return ctx.step("Listening", str, ctx.message)

    @workflow("fail")
    def fail(ctx: Context) -> str:
        raise WorkflowError("The printer is on fire.\nReally.", code="fire")

    @workflow("crash")
    def crash(ctx: Context) -> str:
        raise RuntimeError("<script>alert(1)</script>")

    @workflow("ask")
    def ask(ctx: Context) -> str:
        return f"Hello {ctx.ask('What is your name?')}."


@pytest.fixture
def chat(alice: User) -> Chat:
    """Alice's conversation."""
    return Chat(alice)


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Return the server that ``AI_MODEL`` is at."""
    configure(settings, AI_MODEL="openai-chat:gpt-4o-mini")
    # Waiting is not what is tested.
    monkeypatch.setattr("chatflow.workflows.ai.recorded.BACKOFF", (0.0, 0.0))
    # What one test finds out about a model no other one knows.
    monkeypatch.setattr("chatflow.workflows.ai.toolless._found", set())
    monkeypatch.setattr("chatflow.workflows.ai.sight._found", set())
    with OpenAIServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server

"""Workflows and jobs for the tests of the HTTP edge."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from django.contrib.auth.models import User

from chatflow.asgi import application
from chatflow.serving.pool import Pool
from chatflow.workflows import Context, WorkflowError, registry, workflow
from chatflow.workflows import services as engine
from chatflow.workflows.models import Job
from chatflow.workflows.streaming.listeners import listeners
from chatflow.wsgi import application as wsgi
from tests.chatflow.threads import close_connections, close_streams
from tests.configure import configure

# Of the pool of `served`.
THREADS = 2
MakeJob = Callable[..., Job]

AGAIN = {"type": "quick_reply", "label": "Again", "message": "hello"}


def echo(ctx: Context) -> Any:
    """Say again what was said."""
    ctx.step("Listening", str, ctx.message)
    return ctx.reply(
        f"You said: {ctx.message}",
        actions=[AGAIN],
        sources=[{"title": "You"}],
    )


def fail(ctx: Context) -> str:
    raise WorkflowError("The printer is on fire.", code="fire")


def crash(ctx: Context) -> str:
    raise RuntimeError("secret detail")


def ask(ctx: Context) -> str:
    name = ctx.ask("What is your name?")
    return f"Hello {name}."


@pytest.fixture(autouse=True)
def flows() -> Iterator[None]:
    """Register the workflows above, for one test."""
    before = dict(registry._workflows)
    for function in (echo, fail, crash, ask):
        workflow(function.__name__)(function)
    yield
    registry._workflows.clear()
    registry._workflows.update(before)


@pytest.fixture(autouse=True)
def no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the watchdog's thread out: it would outlive the test, and hold its database."""
    monkeypatch.setattr(
        "chatflow.workflows.running.watchdog.Watchdog.watch", lambda self, attempt: None
    )


@pytest.fixture(autouse=True)
def _not_closing() -> None:
    """Let streams be opened: an earlier test may have closed the process for them."""
    listeners.closing = False


@pytest_asyncio.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Give the application a pool of its own, and stop what its streams have started."""
    pool = Pool(wsgi, THREADS)
    monkeypatch.setattr(application, "pool", pool)
    yield
    await asyncio.to_thread(close_connections, pool.executor, THREADS)
    await asyncio.to_thread(pool.executor.shutdown)
    await close_streams()


@pytest.fixture
def inline(settings: Any) -> None:
    """Run async jobs at once."""
    configure(settings, QUEUE_CONNECTION="sync")


@pytest.fixture
def make_job() -> MakeJob:
    """Return what starts an async job; nobody works on it until the test does."""

    def make(user: User, text: str = "hello", *, session: str = "s", **options: Any) -> Job:
        options.setdefault("workflow", "echo")
        return engine.start(user, text, session_key=session, mode="async", **options).job

    return make


@pytest.fixture
def run() -> Callable[[Job], Job]:
    """Return what works on a queued job until it ends."""

    def run(job: Job) -> Job:
        Job.objects.filter(pk=job.pk).update(inline=True)
        job.refresh_from_db()
        engine.run_inline(job)
        return Job.objects.select_related("user", "session").get(pk=job.pk)

    return run

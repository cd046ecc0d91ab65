"""A dialect costs one file, one line and the inherited contract: here is one of 20 lines."""

import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

import chatflow
from chatflow.asgi import application
from chatflow.auth import sign_link
from chatflow.dialects import DIALECTS, Dialect, get_dialect
from chatflow.workflows.models import Event, Job
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.conftest import MakeJob
from tests.chatflow.dialects.contract import DialectContract
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_streams


class Words(Dialect):
    """Prints one word for each event."""

    __slots__ = ()
    name = "words"
    keeps_state = False

    @staticmethod
    def status(state: str) -> str:
        return state

    def connected(self, job: Job) -> bytes:
        return b"data: hello\n\n"

    def frames(self, event: Event) -> list[bytes]:
        length = event.data.get("text_length", "")
        word = event.data.get("delta", f"[{event.type}{length}]")
        return [f"data: {word}\n\n".encode()]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add the one line."""
    monkeypatch.setitem(DIALECTS, "words", f"{__name__}.Words")
    yield
    get_dialect.cache_clear()


class TestWords(DialectContract):
    name = "words"
    dialect = Words

    def is_end(self, frame: bytes) -> bool:
        return frame.startswith((b"data: [comp", b"data: [fail", b"data: [time", b"data: [canc"))

    def words(self, frames: list[bytes]) -> str:
        text = ""
        for frame in frames:
            word = frame.decode().removeprefix("data: ").removesuffix("\n\n")
            if word.startswith("[restarted"):
                text = text[: int(word.removeprefix("[restarted").removesuffix("]"))]
            elif not word.startswith("["):
                text += word
        return text


def test_nobody_names_a_dialect_but_its_line() -> None:
    """The streams and the answers know the interface; each dialect's own endpoints name it."""
    package = Path(chatflow.__file__).parent
    rooms = (package / "dialects", package / "endpoints")
    named = re.compile(r"chatflow\.dialects\.(?!base|encoding)\w+")

    strays = [path for path in package.rglob("*.py") if named.search(path.read_text())]

    assert all(any(path.is_relative_to(room) for room in rooms) for path in strays)


@pytest_asyncio.fixture
async def listening() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    listeners.closing = False
    yield
    await close_streams()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("listening")
async def test_a_job_is_streamed_in_it(alice: User, make_job: MakeJob, run: partial[Job]) -> None:
    job = await sync_to_async(lambda: run(make_job(alice)))()
    url = f"/ai-demo/workflow/stream/{job.public_id}?token={sign_link(job)}"

    async with Exchange(partial(application.http, dialect="words"), url) as exchange:
        said = await exchange.read()

    assert said.decode().split("\n\n") == [
        "data: hello",
        "data: [started]",
        "data: [step_started]",
        "data: [step_finished]",
        "data: [completed]",
        "",
    ]
    assert exchange.complete

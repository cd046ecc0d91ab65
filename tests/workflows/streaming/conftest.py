"""What the streams' tests share: a job that runs, and listeners that are gone after each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chatflow.workflows.models import Job
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.threads import close_streams
from tests.workflows.chat import Chat, claimed, with_empty_log
from tests.workflows.streaming.following import say


@pytest.fixture
def job(chat: Chat) -> Job:
    """A job that runs, and has two events."""
    chat.send()
    running = with_empty_log(claimed())
    say(running, 2)
    return running


@pytest_asyncio.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    listeners.closing = False
    yield
    await close_streams()

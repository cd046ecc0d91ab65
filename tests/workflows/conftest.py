"""What the engine's tests share: a registry that forgets, and a conversation to run."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User

from tests.workflows.chat import Chat
from workflows import keeper, registry
from workflows.keeper import Attempt


@pytest.fixture(autouse=True)
def _forget_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))


@pytest.fixture
def unkept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run attempts without the keeper's thread, which can't see what a test hasn't committed."""

    @contextmanager
    def running(attempt: Attempt) -> Iterator[None]:
        try:
            yield
        finally:
            attempt.close()

    monkeypatch.setattr(keeper, "running", running)


@pytest.fixture
def chat(alice: User) -> Chat:
    """Alice's conversation."""
    return Chat(alice)

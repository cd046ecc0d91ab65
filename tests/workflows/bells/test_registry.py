"""A bell of somebody's own: a class, a line in the registry, and the inherited contract."""

import queue
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import transaction

from chatflow.workflows import bells, checks
from chatflow.workflows.bells import (
    DATABASE_BELLS,
    QUEUE_BELLS,
    Bell,
    OnRing,
    Subscription,
    get_bell,
)
from tests.configure import configure
from tests.workflows.bells.contract import BellContract, Listen


class LocalSubscription(Subscription):
    def __init__(self, topics: tuple[str, ...], on_ring: OnRing, bell: "LocalBell") -> None:
        super().__init__(topics, on_ring)
        self.rings: queue.Queue[tuple[str, int] | None] = queue.Queue()
        self._bell = bell

    def listen(self) -> None:
        self._bell.subscriptions.add(self)
        try:
            self.ring_all()
            self.ready.set()
            while not self.closing:
                self._take()
        finally:
            self._bell.subscriptions.remove(self)

    def _take(self) -> None:
        try:
            ring = self.rings.get(timeout=0.05)
        except queue.Empty:
            return
        if ring is None:
            raise ConnectionError("broken")
        if ring[0] in self.topics:
            self.on_ring(*ring)


class LocalBell(Bell):
    """It is heard in its own process only."""

    def __init__(self) -> None:
        self.subscriptions: set[LocalSubscription] = set()

    def ring(self, topic: str, key: int) -> None:
        transaction.on_commit(lambda: self._ring_now(topic, key))

    def subscription(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        return LocalSubscription(topics, on_ring, self)

    def _ring_now(self, topic: str, key: int) -> None:
        for subscription in list(self.subscriptions):
            subscription.rings.put((topic, key))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Iterator[None]:
    monkeypatch.setitem(QUEUE_BELLS, "local", f"{__name__}.LocalBell")
    configure(settings, QUEUE_CONNECTION="local")
    yield
    bells._made.cache_clear()


@pytest.mark.usefixtures("registered")
class TestLocalBell(BellContract):
    @pytest.fixture
    def bell(self, registered: None) -> Bell:
        return get_bell()

    def break_listening(self, subscription: Subscription) -> None:
        assert isinstance(subscription, LocalSubscription)
        subscription.rings.put(None)

    def test_it_is_the_bell(self, bell: Bell) -> None:
        assert isinstance(bell, LocalBell)
        assert get_bell() is bell
        assert checks.check_queue_connection(None) == []

    def test_the_engine_rings_it(self, listen: Listen, chat: Any) -> None:
        heard = listen("async_jobs")
        job = chat.send()

        assert ("async_jobs", job.pk) in heard.until("async_jobs", job.pk)


def test_a_queue_without_a_bell_of_its_own(settings: LazySettings) -> None:
    """The database's serves it."""
    for name in ("database", "sync"):
        configure(settings, QUEUE_CONNECTION=name)
        assert type(get_bell()).__module__.startswith("chatflow.workflows.bells.")
        assert f"{type(get_bell()).__module__}.{type(get_bell()).__name__}" in (
            DATABASE_BELLS.values()
        )


def test_an_unknown_queue_is_refused(settings: LazySettings) -> None:
    configure(settings, QUEUE_CONNECTION="local")
    (error,) = checks.check_queue_connection(None)

    assert error.id == "workflows.E001"
    assert error.msg == "QUEUE_CONNECTION=local is not supported (in the environment)."
    assert error.hint == "Use one of: database, redis, sync."

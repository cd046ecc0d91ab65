"""What every doorbell must do. A bell's own tests inherit it, and say how the bell is made."""

import queue
import threading
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from chatflow.workflows.bells import Bell, Subscription
from chatflow.workflows.bells.base import TOPICS

# Seconds after which a test that waits has failed. A net, not a measure.
NET = 30.0


class Heard:
    """What a subscription has heard, in order."""

    def __init__(self) -> None:
        self.rings: queue.Queue[tuple[str, int | None]] = queue.Queue()

    def __call__(self, topic: str, key: int | None) -> None:
        self.rings.put((topic, key))

    def until(self, topic: str, key: int | None) -> list[tuple[str, int | None]]:
        """Wait for a ring that tells to look there, and return all that were heard up to it."""
        heard = []
        while True:
            heard.append(self.rings.get(timeout=NET))
            if heard[-1] in ((topic, key), (topic, None)):
                return heard

    def until_true(self, seen: Callable[[], bool]) -> None:
        """Look whenever it rings, until what was looked for is there."""
        while not seen():
            self.rings.get(timeout=NET)

    def forget(self) -> None:
        while not self.rings.empty():
            self.rings.get()


def commit(bell: Bell, topic: str, key: int, name: str = "") -> None:
    """Commit something, and ring."""
    with transaction.atomic():
        Group.objects.create(name=name or f"{topic} {key}")
        bell.ring(topic, key)


Listen = Callable[..., Heard]


@pytest.mark.django_db(transaction=True)
class BellContract:
    # Its rings tell the key. Else each one tells to look everywhere.
    keyed = True

    @pytest.fixture
    def bell(self) -> Bell:
        raise NotImplementedError

    def break_listening(self, subscription: Subscription) -> None:
        """Cut the subscription's connection, or whatever it listens to."""
        raise NotImplementedError

    @pytest.fixture
    def subscriptions(self) -> Iterator[list[Subscription]]:
        made: list[Subscription] = []
        yield made
        for subscription in made:
            if subscription.is_alive():
                subscription.close()

    @pytest.fixture
    def listen(self, bell: Bell, subscriptions: list[Subscription]) -> Listen:
        """Return what starts to listen."""

        def listen(*topics: str) -> Heard:
            heard = Heard()
            subscriptions.append(bell.listen(topics or TOPICS, heard))
            # It was told to look at everything; from here on it is the rings that count.
            heard.forget()
            return heard

        return listen

    @pytest.mark.parametrize("topic", TOPICS)
    def test_it_works(self, bell: Bell, listen: Listen, topic: str) -> None:
        heard = listen()
        commit(bell, topic, 42)

        heard.until(topic, 42)
        assert Group.objects.filter(name=f"{topic} 42").exists()

    def test_a_ring_outside_of_a_transaction(self, bell: Bell, listen: Listen) -> None:
        heard = listen()
        Group.objects.create(name="g")
        bell.ring("events", 1)

        heard.until("events", 1)

    def test_a_new_listener_looks_at_everything(
        self, bell: Bell, subscriptions: list[Subscription]
    ) -> None:
        """Who doesn't wait until it hears must know what it missed."""
        heard = Heard()
        subscriptions.append(bell.listen(("events", "jobs"), heard, wait=False))

        heard.until("events", None)
        heard.until("jobs", None)

    def test_every_listener_hears(self, bell: Bell, listen: Listen) -> None:
        first, second = listen(), listen("events")
        commit(bell, "events", 7)

        first.until("events", 7)
        second.until("events", 7)

    def test_a_listener_hears_its_topics_only(self, bell: Bell, listen: Listen) -> None:
        heard = listen("cancel")
        commit(bell, "events", 1)
        commit(bell, "cancel", 2)

        assert {topic for topic, _ in heard.until("cancel", 2)} == {"cancel"}

    def test_not_before_the_commit(self, bell: Bell, listen: Listen) -> None:
        if not self.keyed:
            pytest.skip("the commit is the ring")
        heard = listen()

        def ring_meanwhile() -> None:
            # It writes nothing: SQLite has one writer at a time.
            bell.ring("jobs", 2)
            connection.close()

        with transaction.atomic():
            Group.objects.create(name="g")
            bell.ring("jobs", 1)
            thread = threading.Thread(target=ring_meanwhile)
            thread.start()
            thread.join(NET)
            assert ("jobs", 1) not in heard.until("jobs", 2)
        heard.until("jobs", 1)

    def test_not_after_a_rollback(self, bell: Bell, listen: Listen) -> None:
        if not self.keyed:
            pytest.skip("the commit is the ring")
        heard = listen()
        with transaction.atomic():
            bell.ring("events", 1)
            transaction.set_rollback(True)
        with transaction.atomic():
            with transaction.atomic():
                bell.ring("events", 2)
                transaction.set_rollback(True)
            bell.ring("events", 3)

        rung = heard.until("events", 3)
        assert ("events", 1) not in rung
        assert ("events", 2) not in rung

    def test_many_rings(self, bell: Bell, listen: Listen) -> None:
        """However rings are merged: whoever looks at each of them sees the last row."""
        heard = listen("events")

        def ring() -> None:
            for number in range(200):
                commit(bell, "events", 1, name=f"g{number}")
            connection.close()

        thread = threading.Thread(target=ring)
        thread.start()
        heard.until_true(lambda: Group.objects.count() == 200)
        thread.join(NET)

    def test_many_ringers(self, bell: Bell, listen: Listen) -> None:
        heard = listen("events")

        def ring(ringer: int) -> None:
            for number in range(20):
                commit(bell, "events", ringer, name=f"g{ringer}-{number}")
            connection.close()

        threads = [threading.Thread(target=ring, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        heard.until_true(lambda: Group.objects.count() == 80)
        for thread in threads:
            thread.join(NET)

    def test_it_listens_again_after_whatever_broke(
        self, bell: Bell, listen: Listen, subscriptions: list[Subscription]
    ) -> None:
        heard = listen("events", "jobs")
        commit(bell, "events", 1)
        heard.until("events", 1)
        for number in (2, 3):
            heard.forget()
            self.break_listening(subscriptions[0])
            # It is told to look at everything: what was rung meanwhile went unheard.
            heard.until("events", None)
            heard.until("jobs", None)
            commit(bell, "events", number)
            heard.until("events", number)

    def test_close_ends_the_thread(
        self, bell: Bell, listen: Listen, subscriptions: list[Subscription]
    ) -> None:
        heard = listen()
        subscription = subscriptions[0]
        subscription.close()

        assert not subscription.is_alive()
        heard.forget()
        commit(bell, "events", 1)
        assert heard.rings.empty()

    def test_close_of_one_that_is_out_of_order(
        self,
        listen: Listen,
        subscriptions: list[Subscription],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(self: Subscription) -> None:
            raise OSError("out of order")

        listen()
        subscription = subscriptions[0]
        monkeypatch.setattr(type(subscription), "listen", fail)
        self.break_listening(subscription)
        subscription.close()

        assert not subscription.is_alive()

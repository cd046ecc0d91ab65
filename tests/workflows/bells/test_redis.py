from collections.abc import Iterator

import pytest
import redis
from django.contrib.auth.models import Group
from django.db import transaction

from chatflow.workflows.bells import Bell, Subscription, get_bell
from chatflow.workflows.bells import redis as bell_module
from chatflow.workflows.bells.redis import RedisBell
from tests.configure import configure
from tests.servers import Redis
from tests.workflows.bells.contract import BellContract, Listen, commit


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


class TestRedisBell(BellContract):
    @pytest.fixture
    def bell(self, server: Redis) -> Iterator[Bell]:
        self.server = server
        bell = RedisBell(server.url)
        yield bell
        bell._client.close()

    def break_listening(self, subscription: Subscription) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    def test_it_is_the_bell_where_it_is_configured(self, server: Redis, settings: object) -> None:
        configure(settings, REDIS_URL=server.url)
        assert not isinstance(get_bell(), RedisBell)
        configure(settings, QUEUE_CONNECTION="redis")
        assert isinstance(get_bell(), RedisBell)
        assert get_bell() is get_bell()

    def test_a_redis_that_is_away_costs_rings_and_nothing_else(
        self, bell: Bell, listen: Listen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bell_module, "PAUSE", 0.0)
        heard = listen("events")
        self.server.stop()
        try:
            with transaction.atomic():
                Group.objects.create(name="g")
                bell.ring("events", 1)
        finally:
            self.server.start()

        assert Group.objects.exists()
        heard.until("events", None)
        commit(bell, "events", 2)
        heard.until("events", 2)

"""Redis as the doorbell: published after the commit, heard by every process.

Redis only wakes: it holds nothing that the database doesn't. While it is away rings are lost, and
everybody's own look at the database, once a second, stands in for them.
"""

import json
import logging
import time
from typing import Self

import redis

from chatflow.conf import conf
from chatflow.workflows.bells.base import Bell, OnRing, Subscription
from chatflow.workflows.db import on_commit
from chatflow.workflows.exceptions import first_line

logger = logging.getLogger(__name__)

# Seconds to wait for Redis, and not to try again after it didn't answer: a ring is not worth more.
TIMEOUT = 0.5
PAUSE = 1.0
# Seconds between two looks whether to leave.
LEAVE_POLL = 0.25


def channel(topic: str) -> str:
    """Return the Redis channel of *topic*."""
    return f"chatflow:{topic}"


class RedisSubscription(Subscription):
    def __init__(self, topics: tuple[str, ...], on_ring: OnRing, url: str) -> None:
        super().__init__(topics, on_ring)
        self._url = url

    def listen(self) -> None:
        topic_of = {channel(topic): topic for topic in self.topics}
        client = redis.Redis.from_url(self._url, socket_connect_timeout=TIMEOUT)
        with client, client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(*topic_of)
            subscribed = 0
            while not self.closing:
                message = pubsub.get_message(timeout=LEAVE_POLL)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    subscribed += 1
                    if subscribed == len(topic_of):
                        self.ring_all()
                        self.ready.set()
                elif message["type"] == "message":
                    topic = topic_of[message["channel"].decode()]
                    self.on_ring(topic, int(json.loads(message["data"])))


class RedisBell(Bell):
    """A doorbell for teams that have a Redis: it takes the rings off the database.

    Args:
        url: as redis-py spells it, such as ``redis://localhost:6379/0``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._quiet_until = 0.0

    @classmethod
    def from_settings(cls) -> Self:
        """Return the bell at ``REDIS_URL``."""
        return cls(conf.REDIS_URL)

    def ring(self, topic: str, key: int) -> None:
        on_commit(lambda: self._publish(topic, key), robust=True)

    def subscription(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        return RedisSubscription(topics, on_ring, self._url)

    def _publish(self, topic: str, key: int) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            self._client.publish(channel(topic), json.dumps(key))
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + PAUSE
            logger.warning(
                "Redis didn't take a ring (%s); the database is looked at instead.",
                first_line(error),
            )

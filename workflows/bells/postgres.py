"""PostgreSQL's own doorbell: NOTIFY behind a commit, LISTEN on a connection of its own.

A transaction that notifies takes one lock for the whole server before it commits, and keeps it
until its commit is on the disk: such commits stand in line. So where there is much to ring for,
that is committed first, and NOTIFY follows in a transaction of its own, which has nothing to wait
for the disk for: see statement().
"""

import threading
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

from workflows.bells.base import Bell, OnRing, Subscription, readable


def channel(topic: str) -> str:
    """Return the NOTIFY channel of *topic*."""
    return f"chatflow_{topic}"


class PostgresSubscription(Subscription):
    def __init__(self, topics: tuple[str, ...], on_ring: OnRing, params: dict[str, Any]) -> None:
        super().__init__(topics, on_ring)
        self._params = params
        self.ready = threading.Event()

    def listen(self) -> None:
        topic_of = {channel(topic): topic for topic in self.topics}
        with psycopg.connect(**self._params, autocommit=True) as listener:
            for name in topic_of:
                listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))
            if self.ready.is_set():
                # This is a later connection: what was rung meanwhile went unheard.
                self.ring_all()
            self.ready.set()
            while not self.closing:
                readable([listener.fileno(), self._leave])
                for notify in listener.notifies(timeout=0):
                    self.on_ring(topic_of[notify.channel], int(notify.payload))


class PostgresBell(Bell):
    def ring(self, topic: str, key: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self.statement(topic, key))

    def statement(self, topic: str, key: int) -> str:
        return f"NOTIFY {channel(topic)}, '{key:d}'"

    def expression(self, topic: str, key: str) -> str | None:
        return f"pg_notify('{channel(topic)}', ({key})::text)"

    def listen(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        params = connection.get_connection_params()
        # What Django adds for its own cursors and pool is none of a bare connection's.
        for own in ("cursor_factory", "context", "prepare_threshold", "pool"):
            params.pop(own, None)
        subscription = PostgresSubscription(topics, on_ring, params)
        subscription.start()
        # Without the database there is nothing to miss yet: the thread goes on trying.
        subscription.ready.wait(timeout=5)
        return subscription

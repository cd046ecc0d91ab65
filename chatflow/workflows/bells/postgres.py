"""PostgreSQL's own doorbell: NOTIFY behind a commit, and LISTEN.

Threads that listen have a connection of their own; a worker that waits for jobs listens on the one
that it claims with.

A transaction that notifies takes one lock for the whole server before it commits, and keeps it
until its commit is on the disk: such commits stand in line. So where there is much to ring for,
that is committed first, and NOTIFY follows in a transaction of its own, which has nothing to wait
for the disk for: see statements().
"""

from typing import Any

import psycopg
from psycopg import sql

from chatflow.workflows.bells.base import Bell, Ear, OnRing, Ring, Subscription, readable
from chatflow.workflows.db import connection

# A listener is idle by nature. PostgreSQL before 14 has no such setting.
MAY_IDLE = """
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'
"""


def channel(topic: str) -> str:
    """Return the NOTIFY channel of *topic*."""
    return f"chatflow_{topic}"


class PostgresSubscription(Subscription):
    def __init__(self, topics: tuple[str, ...], on_ring: OnRing, params: dict[str, Any]) -> None:
        super().__init__(topics, on_ring)
        self._params = params

    def listen(self) -> None:
        topic_of = {channel(topic): topic for topic in self.topics}
        with psycopg.connect(**self._params, autocommit=True) as listener:
            listener.execute(MAY_IDLE)
            for name in topic_of:
                listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))
            self.ring_all()
            self.ready.set()
            while not self.closing:
                readable([listener.fileno(), self._leave])
                for notify in listener.notifies(timeout=0):
                    self.on_ring(topic_of[notify.channel], int(notify.payload))


class PostgresEar(Ear):
    """Listens on Django's own connection."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        self._topic_of = {channel(topic): topic for topic in topics}
        self._connection: psycopg.Connection[Any] | None = None
        self._listens = False
        self._heard: list[str] = []

    def listen(self) -> bool:
        with connection.cursor() as cursor:
            if connection.connection is not self._connection:
                self._connection = connection.connection
                # For the rings that psycopg comes upon while it reads the answer to a query.
                self._connection.add_notify_handler(lambda notify: self._remember(notify.channel))
                self._listens = False
            if self._listens:
                return False
            cursor.execute("; ".join(f"LISTEN {name}" for name in self._topic_of))
        self._listens = True
        return True

    def unlisten(self) -> str | None:
        if not self._listens or connection.connection is not self._connection:
            return None
        self._listens = False
        return "; ".join(f"UNLISTEN {name}" for name in self._topic_of)

    def hear(self) -> list[str]:
        if self._connection is not None and connection.connection is self._connection:
            # psycopg's own notifies() does the same, and much besides.
            pgconn = self._connection.pgconn
            with connection.wrap_database_errors:
                pgconn.consume_input()
            while notify := pgconn.notifies():
                self._remember(notify.relname.decode())
        heard, self._heard = self._heard, []
        return heard

    def fileno(self) -> int:
        assert self._connection is not None
        return self._connection.fileno()

    def _remember(self, name: str) -> None:
        # The workflows use this connection too, and may listen for something of their own.
        if name in self._topic_of:
            self._heard.append(self._topic_of[name])


class PostgresBell(Bell):
    def ring(self, topic: str, key: int) -> None:
        self.ring_each((topic, key))

    def ring_each(self, *rings: Ring) -> None:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"NOTIFY {channel(topic)}, '{key:d}'" for topic, key in rings))

    def statements(self, *rings: Ring) -> tuple[str | None, dict[str, str]]:
        keys = {f"ring{number}": str(key) for number, (_, key) in enumerate(rings)}
        notify = [
            f"NOTIFY {channel(topic)}, %({name})s"
            for (topic, _), name in zip(rings, keys, strict=True)
        ]
        return "; ".join(notify), keys

    def expression(self, topic: str, key: str) -> str | None:
        return f"pg_notify('{channel(topic)}', ({key})::text)"

    def ear(self, topics: tuple[str, ...]) -> Ear:
        return PostgresEar(topics)

    def subscription(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        params = connection.get_connection_params()
        # Django adds these for its own cursors and pool; a bare connection takes none of them.
        for own in ("cursor_factory", "context", "prepare_threshold", "pool"):
            params.pop(own, None)
        return PostgresSubscription(topics, on_ring, params)

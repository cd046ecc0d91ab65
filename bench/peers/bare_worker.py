"""A bare worker: SKIP LOCKED and NOTIFY, a job at a time: ``python -m bench.peers.bare_worker``."""

import os
import random
import time

import psycopg

TABLE = """
    CREATE TABLE IF NOT EXISTS bare_job (id bigserial PRIMARY KEY, taken boolean DEFAULT false,
                                         entered bigint)
"""
TAKE = """
    UPDATE bare_job SET taken = true
    WHERE id = (SELECT id FROM bare_job WHERE NOT taken ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
"""


def work() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("LISTEN bare_jobs")
        while True:
            while (row := connection.execute(TAKE).fetchone()) is not None:
                entered = time.monotonic_ns()
                connection.execute(
                    "UPDATE bare_job SET entered = %s WHERE id = %s", [entered, row[0]]
                )
            for _ in connection.notifies(timeout=1, stop_after=1):
                pass


def prepare(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)


def pickup(database_url: str, seconds: float) -> list[float]:
    """Measure the same as bench.inside.pickup(), in the same way."""
    delays = []
    end = time.monotonic() + seconds
    with psycopg.connect(database_url, autocommit=True) as connection:
        while time.monotonic() < end:
            time.sleep(random.uniform(0.02, 0.06))
            with connection.transaction():
                row = connection.execute("INSERT INTO bare_job DEFAULT VALUES RETURNING id")
                job = row.fetchone()
                connection.execute("SELECT pg_notify('bare_jobs', '')")
                committing = time.monotonic_ns()
            entered = None
            while entered is None:
                time.sleep(0.02)
                found = connection.execute("SELECT entered FROM bare_job WHERE id = %s", job)
                entered = (found.fetchone() or [None])[0]
            delays.append((entered - committing) / 1e6)
    return delays


if __name__ == "__main__":
    work()

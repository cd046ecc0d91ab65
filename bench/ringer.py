"""Appends events as fast as it can: ``python -m bench.ringer HOW WHO SECONDS``.

It does the same in the database as chatflow/workflows/store/events.py, on tables of three columns;
HOW is the place of its NOTIFY. Prints how many a second it appended.
"""

import os
import sys
import time

import psycopg

TABLES = """
    CREATE TABLE job (id integer PRIMARY KEY, last_seq integer DEFAULT 0);
    CREATE TABLE event (job integer, seq integer, data text, PRIMARY KEY (job, seq));
    INSERT INTO job SELECT generate_series(1, 1000);
"""
RING = "pg_notify('events', job::text)"
APPEND = """
    WITH job AS (UPDATE job SET last_seq = last_seq + 1 WHERE id = $1 RETURNING id, last_seq),
    event AS (INSERT INTO event SELECT id, last_seq, repeat('word ', 20) FROM job RETURNING job)
    SELECT {} FROM event
"""
PREPARE = (
    f"PREPARE append (integer) AS {APPEND.format('job')}",
    f"PREPARE append_and_ring (integer) AS {APPEND.format(RING)}",
)
# A message each, whose answers come together.
HOW = {
    "behind": "BEGIN; EXECUTE append ({job}); COMMIT; NOTIFY events, '{job}'",
    "inside": "EXECUTE append_and_ring ({job})",
    "without": "EXECUTE append ({job})",
}


def main(how: str, who: str, seconds: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        for statement in PREPARE:
            connection.execute(statement.encode())
        # Each has jobs of its own.
        messages = [HOW[how].format(job=10 * int(who) + each).encode() for each in range(1, 11)]
        began, count = time.monotonic(), 0
        while time.monotonic() < began + float(seconds):
            connection.execute(messages[count % len(messages)])
            count += 1
        print(count / (time.monotonic() - began))


if __name__ == "__main__":
    main(*sys.argv[1:])

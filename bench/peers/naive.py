"""The naive design: a worker that polls its queue five times a second, a stream that polls the
job's row once a second. ``python -m bench.peers.naive`` is the worker.
"""

import asyncio
import json
import os
import time
from typing import Any

import psycopg

QUEUE_POLL = 0.2
STREAM_POLL = 1.0
STEPS = 4
TABLE = """
    CREATE TABLE IF NOT EXISTS naive_job (id bigserial PRIMARY KEY, state text DEFAULT 'queued',
                                          progress integer DEFAULT 0)
"""


def prepare(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)


def work() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        while True:
            rows = connection.execute("SELECT id FROM naive_job WHERE state = 'queued' LIMIT 1")
            for (job,) in rows.fetchall():
                for step in range(STEPS):
                    progress = 100 * (step + 1) // STEPS
                    state = "completed" if step == STEPS - 1 else "processing"
                    connection.execute(
                        "UPDATE naive_job SET state = %s, progress = %s WHERE id = %s",
                        [state, progress, job],
                    )
            time.sleep(QUEUE_POLL)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    url = os.environ["DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        if scope["method"] == "POST":
            await start(connection, send)
        else:
            await stream(connection, int(scope["path"].rpartition("/")[2]), send)


async def start(connection: psycopg.AsyncConnection, send: Any) -> None:
    rows = await connection.execute("INSERT INTO naive_job DEFAULT VALUES RETURNING id")
    row = await rows.fetchone()
    assert row is not None
    await send({"type": "http.response.start", "status": 202, "headers": []})
    body = json.dumps({"stream_url": f"/stream/{row[0]}"}).encode()
    await send({"type": "http.response.body", "body": body})


async def stream(connection: psycopg.AsyncConnection, job: int, send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    seen = 0
    while True:
        found = await connection.execute("SELECT state, progress FROM naive_job WHERE id=%s", [job])
        state, progress = await found.fetchone() or ("failed", 0)
        if progress != seen:
            seen = progress
            data = json.dumps({"status": state, "seq": progress})
            more = state == "processing"
            body = f"data: {data}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": more})
            if not more:
                return
        await asyncio.sleep(STREAM_POLL)


if __name__ == "__main__":
    work()

"""The bare chain: commit and NOTIFY in one process, LISTEN and a bare ASGI application in another.

``uvicorn bench.peers.bare_chain:application`` listens; ``python -m bench.peers.bare_chain 2 0.005``
commits events for 2 seconds, every 5 ms.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import psycopg

TABLE = "CREATE TABLE IF NOT EXISTS bare_event (id bigserial PRIMARY KEY, data text)"
COMMIT = """
    WITH event AS (INSERT INTO bare_event (data) VALUES (%(data)s) RETURNING id)
    SELECT pg_notify('bare', %(data)s) FROM event
"""

queues: set[asyncio.Queue[str]] = set()


def write(seconds: float, pause: float) -> None:
    end, count = time.monotonic() + seconds, 0
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < end:
            time.sleep(pause)
            data = {"type": "progress", "message": str(time.monotonic_ns())}
            connection.execute(COMMIT, {"data": json.dumps(data)})
            count += 1
        data = {"type": "completed", "response": str(count)}
        connection.execute(COMMIT, {"data": json.dumps(data)})


async def listen() -> None:
    url = os.environ["DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(TABLE)
        await connection.execute("LISTEN bare")
        async for notify in connection.notifies():
            for queue in queues:
                queue.put_nowait(notify.payload)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        listener = asyncio.create_task(listen())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        listener.cancel()
        await send({"type": "lifespan.shutdown.complete"})
        return
    writer = asyncio.create_task(stream(send))
    while (await receive())["type"] != "http.disconnect":
        pass
    writer.cancel()


async def stream(send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    data = '{"type": "connected"}'
    try:
        while True:
            body = f"data: {data}\n\n".encode()
            last = '"completed"' in data
            await send({"type": "http.response.body", "body": body, "more_body": not last})
            if last:
                return
            data = await queue.get()
    finally:
        queues.remove(queue)


if __name__ == "__main__":
    write(float(sys.argv[1]), float(sys.argv[2]))

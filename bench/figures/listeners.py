"""The costs of an idle listener to the web process: memory, threads, connections, processor."""

import asyncio
import resource
import time
from dataclasses import dataclass

import psycopg
import uvloop

from bench.processes import Web, memory, processor_seconds, threads, uvicorn
from bench.stage import Stage
from bench.table import Line, line
from tests.servers import HOST

# Other files that this process or the server has open.
SPARE_FILES = 500
# Streams that are being opened at once.
OPENING = 64
SETTLE = 2.0
WATCHED = 3.0


@dataclass(frozen=True)
class Cost:
    """The resources of a web process at some moment, and its use of one processor."""

    memory: int
    threads: int
    connections: int
    processor: float


def measure(stage: Stage) -> list[Line]:
    count = min(stage.listeners, open_files() - SPARE_FILES)
    site = stage.on_postgres
    paths: list[str] = site.inside("waiting_links", count)
    with site.web() as web:
        one, many = uvloop.run(listen(web, site.database_url, paths))
    bare = uvicorn("bench.peers.bare_chain:application", {"DATABASE_URL": stage.peers_url})
    with bare:
        bare_one, bare_many = uvloop.run(listen(bare, stage.peers_url, ["/"] * count))
    each = kilobytes_each(one, many, count)
    bare_each = kilobytes_each(bare_one, bare_many, count)
    more_threads = many.threads - one.threads
    more_connections = many.connections - one.connections
    figure = f"{count:,} idle listeners"
    return [
        line(f"{figure}: memory of each", each, "KB", peer=bare_each, peer_name="bare ASGI app",
             bar="≤ 20 KB", held=each <= 20),
        line(f"{figure}: more threads than 1", more_threads, "", bar="0", held=more_threads <= 0),
        line(f"{figure}: more connections than 1", more_connections, "",
             bar="0", held=more_connections <= 0),
        line(f"{figure}: web process", many.processor, "% CPU",
             peer=bare_many.processor, peer_name="bare ASGI app"),
    ]  # fmt: skip


def open_files() -> int:
    """Raise the limit of open files as far as it goes, for the processes to come too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def kilobytes_each(one: Cost, many: Cost, count: int) -> float:
    return (many.memory - one.memory) / (count - 1) / 1024


async def listen(web: Web, database_url: str, paths: list[str]) -> tuple[Cost, Cost]:
    """Open a first stream and then all others; return the cost to the web process each time."""
    gate = asyncio.Semaphore(OPENING)
    streams = [await open_stream(web.port, paths[0], gate)]
    one = await cost(web, database_url)
    streams += await asyncio.gather(*(open_stream(web.port, path, gate) for path in paths[1:]))
    many = await cost(web, database_url)
    for _, writer in streams:
        writer.transport.abort()
    return one, many


async def open_stream(
    port: int, path: str, gate: asyncio.Semaphore
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the connection, once the stream's first frame has come."""
    async with gate:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readuntil(b"\n\n")
        return reader, writer


async def cost(web: Web, database_url: str) -> Cost:
    await asyncio.sleep(SETTLE)
    before, began = processor_seconds([web.pid]), time.monotonic()
    await asyncio.sleep(WATCHED)
    used = (processor_seconds([web.pid]) - before) / (time.monotonic() - began)
    return Cost(memory(web.pid), threads(web.pid), connections(database_url), used * 100)


def connections(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert row is not None
        return int(row[0])

"""A load generator: as many requests as a few connections can make, one after the other on each."""

import asyncio
import time

import uvloop

from tests.servers import HOST

CONNECTIONS = 8


def requests_per_second(port: int, requests: list[bytes], seconds: float) -> float:
    """Send each request over a connection of its own, again and again, and return the rate."""
    return uvloop.run(_load(port, requests, seconds))


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return a request that leaves its connection open."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def _load(port: int, requests: list[bytes], seconds: float) -> float:
    began = time.monotonic()
    done = await asyncio.gather(*(_repeat(port, each, began + seconds) for each in requests))
    return sum(done) / (time.monotonic() - began)


async def _repeat(port: int, request: bytes, end: float) -> int:
    reader, writer = await asyncio.open_connection(HOST, port)
    done = 0
    while time.monotonic() < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await _read_body(reader, head.lower())
        done += 1
    writer.close()
    return done


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"content-length: " in head:
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        return
    size = -1
    while size:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)

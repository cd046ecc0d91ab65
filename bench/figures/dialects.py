"""Other clients' protocols: how fast each encodes a log, and what an idle stream of each costs."""

import asyncio
import json
from typing import Any

import uvloop

from bench.figures.listeners import OPENING, Cost, cost, kilobytes_each, open_files
from bench.processes import Web
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line
from tests.servers import HOST

EVENTS = 20_000
IDLE = 2000
# Streams that are open before the counting: every thread and cache that all of them need is there.
WARM = 64
# Kilobytes that a dialect may keep of a job beside what every stream costs.
MORE = 3.0

Request = tuple[str, str, dict[str, Any] | None]


def measure(stage: Stage) -> list[Line]:
    open_files()
    site = stage.on_postgres
    rates: dict[str, float] = site.inside("encoding_rates", EVENTS)
    lines = [
        line(f"{name}: events encoded", rate, "/s", peer=rates["seed"], peer_name="the seed's",
             bar="≥ 50,000 /s", held=rate >= 50_000)
        for name, rate in rates.items()
    ]  # fmt: skip
    sessions: dict[str, str] = site.inside("waiting_sessions", IDLE + WARM)
    costs: dict[str, float] = {}
    for name, requests in ask(sessions).items():
        with site.web() as web:
            few, many = uvloop.run(listen(web, site, requests))
        costs[name] = kilobytes_each(few, many, IDLE + 1)
    lines += [
        line(f"{name}: memory of an idle stream", each, "KB", peer=costs["seed"],
             peer_name="the seed's", bar=f"≤ {MORE:g} KB more", held=each <= costs["seed"] + MORE)
        for name, each in costs.items()
    ]  # fmt: skip
    return lines


def ask(sessions: dict[str, str]) -> dict[str, list[Request]]:
    """Return for each dialect a request for the stream of each job.

    Args:
        sessions: by the digits of their jobs' public ids.
    """
    return {
        "seed": [("GET", f"/ai-demo/workflow/stream/workflow_{job}", None) for job in sessions],
        "responses": [("GET", f"/v1/responses/resp_{job}?stream=true", None) for job in sessions],
        "ag-ui": [("GET", f"/ag-ui/threads/{key}/stream", None) for key in sessions.values()],
        "ai-sdk": [("GET", f"/api/chat/{key}/stream", None) for key in sessions.values()],
        "a2a": [("POST", "/a2a", subscription(job)) for job in sessions],
    }


def subscription(job: str) -> dict[str, Any]:
    params = {"id": f"workflow_{job}"}
    return {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": params}


async def listen(web: Web, site: Site, requests: list[Request]) -> tuple[Cost, Cost]:
    """Open some streams and then all others; return the cost to the web process each time."""
    gate = asyncio.Semaphore(OPENING)
    streams: list[asyncio.StreamWriter] = []
    costs = []
    for asked in (requests[:WARM], requests[WARM:]):
        opening = (open_stream(web.port, site, each, gate) for each in asked)
        streams += await asyncio.gather(*opening)
        costs.append(await cost(web, site.database_url))
    for writer in streams:
        writer.transport.abort()
    return costs[0], costs[1]


async def open_stream(
    port: int, site: Site, request: Request, gate: asyncio.Semaphore
) -> asyncio.StreamWriter:
    """Return the connection, once the head of the stream has come."""
    method, path, body = request
    content = json.dumps(body).encode() if body is not None else b""
    headers = site.headers | {"Host": HOST}
    if content:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    async with gate:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return writer

"""A thousand busy streams: from the commit of an event to its frame at its client."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic, monotonic_ns

import uvloop

from bench.figures.listeners import OPENING, open_files, open_stream
from bench.processes import ROOT, processor_seconds
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line, p50, p99

# Two streams watch each job, so that the appenders, who commit each event by itself as workers do,
# don't take both processors of a small machine.
STREAMS = 1000
WATCHERS = 2
EVENTS = 20
FRAMES_PER_SECOND = 2000
# One process alone would not append that many.
APPENDERS = 2
# Seconds to wait for the last frame.
PATIENCE = 120.0


@dataclass
class Delivery:
    """The events that came through a stream: their numbers, and their delays in milliseconds."""

    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


def measure(stage: Stage) -> list[Line]:
    open_files()
    with stage.on_postgres.web() as web, ExitStack() as stack:
        appenders = [stack.enter_context(appender(stage.on_postgres)) for _ in range(APPENDERS)]
        began, used = monotonic(), processor_seconds([web.pid])
        watched, rate = uvloop.run(watch(web.port, appenders))
        used = (processor_seconds([web.pid]) - used) / (monotonic() - began)
    delays = [delay for each in watched for delay in each.delays]
    inexact = sum(each.numbers != list(range(1, EVENTS + 2)) for each in watched)
    figure = f"{STREAMS:,} busy streams"
    held = p99(delays) <= 250 and rate >= 0.95 * FRAMES_PER_SECOND
    return [
        line(f"{figure}: frames", rate, "/s"),
        line(f"{figure}: commit → frame, p50", p50(delays), "ms"),
        line(f"{figure}: commit → frame, p99", p99(delays), "ms",
             bar=f"≤ 250 ms at {FRAMES_PER_SECOND:,}/s", held=held),
        line(f"{figure}: not each event once, in order", inexact, "", bar="0", held=not inexact),
        line(f"{figure}: web process", used * 100, "% CPU"),
    ]  # fmt: skip


@contextmanager
def appender(site: Site) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that waits to append its share."""
    jobs = STREAMS // WATCHERS // APPENDERS
    per_second = FRAMES_PER_SECOND / WATCHERS / APPENDERS
    command = [sys.executable, "-m", "bench.appender", str(jobs), str(EVENTS), str(per_second)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | site.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def watch(port: int, appenders: list[subprocess.Popen[str]]) -> tuple[list[Delivery], float]:
    """Watch all streams while the processes append; return also the rate of frames a second."""
    gate = asyncio.Semaphore(OPENING)
    paths = [path for process in appenders for path in json.loads(read_line(process))] * WATCHERS
    opened = await asyncio.gather(*(open_stream(port, path, gate) for path in paths))
    for process in appenders:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    async with asyncio.timeout(PATIENCE):
        watched = await asyncio.gather(*(read(reader) for reader, _ in opened))
    return watched, WATCHERS * sum(float(read_line(process)) for process in appenders)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


async def read(reader: asyncio.StreamReader) -> Delivery:
    """Read a stream to its end."""
    watched = Delivery()
    while raw := await reader.readline():
        if raw.startswith(b"data: "):
            arrived = monotonic_ns()
            frame = json.loads(raw[6:])
            watched.numbers.append(frame["seq"])
            if frame["type"] == "completed":
                break
            watched.delays.append((arrived - int(frame["message"])) / 1e6)
    return watched

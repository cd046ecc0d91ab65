"""Every figure of PostgreSQL once more: with a million finished jobs, beside an empty database."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import uvloop

from bench import contenders
from bench.client import Client
from bench.figures import busy, live, sync_sends, turns
from bench.figures.listeners import open_files
from bench.processes import Web
from bench.ratio import Samples, compare
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line

SECONDS = 4.0
GETS = 100
JOBS = 1000
# How much slower anything may be.
MOST = 1.2

SESSION = "growth"
TURNS = 25


@dataclass(frozen=True)
class Side:
    """One of the two databases, served."""

    site: Site
    web: Web

    @property
    def client(self) -> Client:
        """A new one each time: uvicorn closes a connection that is idle for five seconds."""
        return Client(self.web.port, self.site.headers)

    def prepare(self) -> None:
        """Give both the same conversation to show, and warm caches."""
        for _ in range(TURNS):
            self.client.send("Hello", session_id=SESSION, workflow="bench_turn")

    def live(self) -> Samples:
        return {"commit → frame": live.through_chatflow(self.site, self.web)}

    def pickup(self) -> Samples:
        return {"idle pickup": self.site.inside("pickup", SECONDS)}

    def turns(self) -> Samples:
        first, last = zip(*turns.take_turns(self.client, SECONDS), strict=True)
        return {"POST → first progress frame": [*first], "POST → completed frame": [*last]}

    def sync_send(self) -> Samples:
        rate = sync_sends.measure_sends(self.web, self.site, f"growth-{time.monotonic_ns()}")
        return {"a sync send, of 8 at a time": [1000 / rate]}

    def busy(self) -> Samples:
        with ExitStack() as stack:
            appenders = [
                stack.enter_context(busy.appender(self.site)) for _ in range(busy.APPENDERS)
            ]
            watched, _ = uvloop.run(busy.watch(self.web.port, appenders))
        return {BUSY: [delay for each in watched for delay in each.delays]}

    def pages(self) -> Samples:
        job = self.client.get("/ai-demo/workflow/jobs")["jobs"][-1]["job_id"]
        return {
            "history of 25 turns": self._time_gets(f"/ai-demo/chat/history/{SESSION}"),
            "status": self._time_gets(f"/ai-demo/workflow/status/{job}"),
            "list of jobs": self._time_gets("/ai-demo/workflow/jobs"),
        }

    def _time_gets(self, path: str) -> list[float]:
        client, delays = self.client, []
        for _ in range(GETS):
            began = time.monotonic_ns()
            client.get(path)
            delays.append((time.monotonic_ns() - began) / 1e6)
        return delays


BUSY = f"{busy.STREAMS:,} busy streams: commit → frame"
# All of them in milliseconds; a rate as the time for one.
SERVED: tuple[Callable[[Side], Samples], ...] = (
    Side.live,
    Side.pickup,
    Side.turns,
    Side.sync_send,
    Side.busy,
    Side.pages,
)
# Those that have a bar for their p99 on an empty database.
WITH_P99 = ("commit → frame", "idle pickup", BUSY)


def measure(stage: Stage) -> list[Line]:
    used, empty = stage.long_used, Site(stage.postgres.create_database("empty"))
    found: list[Line] = []
    open_files()
    with ExitStack() as stack:
        sides = []
        for site in (used, empty):
            web = stack.enter_context(site.web())
            stack.enter_context(site.cluster())
            sides.append(Side(site, web))
            sides[-1].prepare()
        for figure in SERVED:
            found += compare_sides(stage, *(partial(figure, side) for side in sides))
    return found + compare_sides(stage, partial(run_no_ops, used), partial(run_no_ops, empty))


def run_no_ops(site: Site) -> Samples:
    queue = contenders.chatflow(site)
    return {
        "a no-op job, full queue drained": [1000 / queue.drain(JOBS)],
        "a no-op job, enqueued to completed": [1000 / queue.enqueue_to_completed(JOBS)],
    }


def compare_sides(
    stage: Stage, used: Callable[[], Samples], empty: Callable[[], Samples]
) -> list[Line]:
    return [
        line(f"{stage.jobs:,} jobs: {found.name}", found.value, "ms",
             peer=found.peer, peer_name="empty database",
             bar=f"≤ {MOST}× peer", held=found.value <= MOST * found.peer)
        for found in compare(used, empty, bar=MOST, late=WITH_P99)
    ]  # fmt: skip

"""Every figure of PostgreSQL once more: with a million finished jobs, beside an empty database."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import uvloop

from bench import contenders
from bench.client import Client
from bench.contenders import Contender
from bench.figures import busy, live, sync_sends, turns
from bench.figures.listeners import open_files
from bench.processes import Web
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line, over_rounds

# The p99 of a round is its second or third worst moment: their median needs many rounds.
ROUNDS = 9
SECONDS = 4.0
GETS = 100
JOBS = 300
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

    def live(self) -> list[float]:
        return live.through_chatflow(self.site, self.web)

    def pickup(self) -> list[float]:
        delays: list[float] = self.site.inside("pickup", SECONDS)
        return delays

    def first_frame(self) -> list[float]:
        return [first for first, _ in turns.take_turns(self.client, SECONDS)]

    def completed_frame(self) -> list[float]:
        return [last for _, last in turns.take_turns(self.client, SECONDS)]

    def sync_send(self) -> list[float]:
        return [1000 / sync_sends.sends(self.web, self.site, f"growth-{time.monotonic_ns()}")]

    def busy(self) -> list[float]:
        with ExitStack() as stack:
            appenders = [
                stack.enter_context(busy.appender(self.site)) for _ in range(busy.APPENDERS)
            ]
            watched, _ = uvloop.run(busy.watch(self.web.port, appenders))
        return [delay for each in watched for delay in each.delays]

    def history(self) -> list[float]:
        return self._gets(f"/ai-demo/chat/history/{SESSION}")

    def status(self) -> list[float]:
        jobs = self.client.get("/ai-demo/workflow/jobs")["jobs"]
        return self._gets(f"/ai-demo/workflow/status/{jobs[-1]['job_id']}")

    def jobs(self) -> list[float]:
        return self._gets("/ai-demo/workflow/jobs")

    def _gets(self, path: str) -> list[float]:
        client, delays = self.client, []
        for _ in range(GETS):
            asked = time.monotonic_ns()
            client.get(path)
            delays.append((time.monotonic_ns() - asked) / 1e6)
        return delays


# Milliseconds all of them; a rate as the time for one.
SERVED: dict[str, Callable[[Side], list[float]]] = {
    "commit → frame": Side.live,
    "idle pickup": Side.pickup,
    "POST → first progress frame": Side.first_frame,
    "POST → completed frame": Side.completed_frame,
    "a sync send, of 8 at a time": Side.sync_send,
    "1,000 busy streams: commit → frame": Side.busy,
    "history of 25 turns": Side.history,
    "status": Side.status,
    "list of jobs": Side.jobs,
}
# Those that have a bar for their p99 on an empty database.
WITH_P99 = ("commit → frame", "idle pickup", "1,000 busy streams: commit → frame")
DRAINED = "a no-op job, full queue drained"


def measure(stage: Stage) -> list[Line]:
    empty, used = Site(stage.postgres.create_database("empty")), stage.long_used
    found: list[Line] = []
    open_files()
    with ExitStack() as stack:
        sides = []
        for site in (empty, used):
            web = stack.enter_context(site.web())
            stack.enter_context(site.cluster())
            sides.append(Side(site, web))
            sides[-1].prepare()
        for name, measured in SERVED.items():
            found += compare(stage, name, [partial(measured, side) for side in sides])
    queues = [contenders.chatflow(site) for site in (empty, used)]
    found += compare(stage, DRAINED, [partial(drain, queue) for queue in queues])
    return found


def drain(queue: Contender) -> list[float]:
    return [1000 / queue.drain(JOBS)]


def compare(stage: Stage, name: str, measured: Sequence[Callable[[], list[float]]]) -> list[Line]:
    """Measure the empty database and the grown one in turns."""
    rounds: list[list[list[float]]] = [[], []]
    for number in range(ROUNDS):
        # Now this one comes first, now the other.
        for side in ((0, 1), (1, 0))[number % 2]:
            rounds[side].append(measured[side]())
    (middle, late), (used_middle, used_late) = (over_rounds(each) for each in rounds)
    lines = [compared(stage, f"{name}, p50", middle, used_middle)]
    if name in WITH_P99:
        lines.append(compared(stage, f"{name}, p99", late, used_late))
    return lines


def compared(stage: Stage, name: str, empty: float, used: float) -> Line:
    figure = f"{stage.jobs:,} jobs: {name}"
    held = used <= MOST * empty
    return line(figure, used, "ms", peer=empty, peer_name="empty database",
                bar=f"≤ {MOST}× peer", held=held)  # fmt: skip

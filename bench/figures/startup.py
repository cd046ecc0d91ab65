"""The processor time of a start, web server and cluster, until both are at rest.

In an environment of what an installation has: with what is there to develop Chatflow some libraries
load more.
"""

import time

from bench import contenders, environments
from bench.processes import ROOT, Program, family, processor_seconds, uvicorn
from bench.stage import ROUNDS, Stage
from bench.table import Line, line, p50

BAR = 2.0
# At rest is a process whose family has used no more than so many seconds of the last second.
REST = 0.05


def measure(stage: Stage) -> list[Line]:
    python = environments.python_with(ROOT / "pins.txt")

    def started(program: Program) -> float:
        program.program = python
        return processor_time(program)

    stock = contenders.stock_q2(stage.postgres, "startup_stock")
    ours: list[float] = []
    webs: list[float] = []
    peers: list[float] = []
    for _ in range(ROUNDS):
        web = started(stage.on_postgres.web())
        webs.append(web)
        ours.append(web + started(stage.on_postgres.cluster()))
        peers.append(
            started(uvicorn("bench.peers.bare_asgi:application", stock.environment))
            + started(stock.workers()[0])
        )
    total = p50(ours)
    return [
        line("start of web and cluster, processor time, p50", total, "s",
             peer=p50(peers), peer_name="bare Django and stock django-q2",
             bar=f"≤ {BAR:g} s", held=total <= BAR),
        line("of that the web server", p50(webs), "s"),
    ]  # fmt: skip


def processor_time(program: Program) -> float:
    """Return the seconds of processor time that a program has used when it is at rest."""
    with program:
        used = -1.0
        while (now := processor_seconds(descendants(program.pid))) > used + REST:
            used = now
            time.sleep(1)
        return now


def descendants(pid: int) -> list[int]:
    found = family(pid)
    return [pid, *(each for child in found[1:] for each in descendants(child))]

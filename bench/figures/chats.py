"""Hundreds of chats at once, with a model that takes its time."""

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import contextmanager
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import uvloop

from bench.chatting import Heard, call, chat, count_inexact, relay
from bench.figures.listeners import open_files
from bench.processes import Program, Web, family, memory, uvicorn
from bench.site import Site, python
from bench.stage import Stage
from bench.table import Line, line, p50
from tests.model_server import ModelServer

WORDS = 200
PAUSE = 0.05
WAIT = 0.3
# One answer, from its request to its last word, in seconds.
TURN = WAIT + WORDS * PAUSE
CHATS, ON_SQLITE = 200, 100
ALONE = 5
# Of one user, beside whom another one sends a message.
CROWD = 500
LOOPS = {"QUEUE_LOOPS": "2", "QUEUE_WORKERS": "1", "WEB_THREADS": "16"}

CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass
class Crowd:
    """Many chats at once.

    Args:
        chats: as their users saw them.
        grown: by how many bytes the processes have grown meanwhile, at most.
        connections: to the database, at most.
        cancelled: seconds from a cancellation until the model saw the end of its connection.
    """

    chats: list[Heard]
    grown: int = 0
    connections: int = 0
    cancelled: float = 0.0


@dataclass
class Scene:
    """A site, its processes and its model."""

    site: Site
    web: Web
    cluster: Program
    model: ModelServer
    prompts: list[str] = field(default_factory=list)

    @property
    def memory(self) -> int:
        return sum(memory(pid) for pid in [self.web.pid, *family(self.cluster.pid)])


def measure(stage: Stage) -> list[Line]:
    open_files()
    with ModelServer(wait=WAIT, pause=PAUSE, words=WORDS) as model:
        with uvicorn("bench.peers.bare_relay:application", model.environment) as peer:
            bare = uvloop.run(relay_all(peer.port, CHATS))
        site = make_site(stage.postgres.create_database("chats"), model)
        with scene(site, model) as on_postgres:
            alone, requests = uvloop.run(talk_alone(on_postgres))
            crowd = uvloop.run(talk_together(on_postgres, CHATS))
            waited = uvloop.run(talk_beside(on_postgres))
        site = make_site(f"sqlite:///{Path(site_folder(stage)) / 'chats.sqlite3'}", model)
        with scene(site, model) as on_sqlite:
            uvloop.run(talk_alone(on_sqlite))
            small = uvloop.run(talk_together(on_sqlite, ON_SQLITE))
    return [*describe_crowd(crowd, bare, small), *describe_few(crowd, alone, requests, waited)]


def site_folder(stage: Stage) -> str:
    return str(Path(stage.on_sqlite.database_url.removeprefix("sqlite:///")).parent)


def make_site(url: str, model: ModelServer) -> Site:
    site = Site(url)
    site.environment |= LOOPS | model.environment
    return site


@contextmanager
def scene(site: Site, model: ModelServer) -> Iterator[Scene]:
    with site.web() as web, site.cluster() as cluster:
        yield Scene(site, web, cluster, model)


async def relay_all(port: int, count: int) -> list[Heard]:
    return await asyncio.gather(*(relay(port, f"relay {n}") for n in range(count)))


async def talk_alone(scene: Scene) -> tuple[list[Heard], float]:
    """Chat alone, some times; return also how many requests each chat has made."""
    heard = []
    for number in range(ALONE + 1):
        prompt = f"alone {number}"
        one = await chat(scene.web.port, scene.site.headers, prompt, until=lambda one: one.first > 0)
        await cancel(scene, one)
        heard.append(one)
    # The first warms up whatever is cold.
    prompts = [request.prompt for request in scene.model.list_requests()]
    made = sum("alone" in prompt for prompt in prompts) / len(heard)
    return heard[1:], made


async def talk_together(scene: Scene, count: int) -> Crowd:
    """Let many users chat at once, one of whom cancels."""
    before = scene.memory
    chats = [
        asyncio.ensure_future(chat(scene.web.port, scene.site.headers, f"chat {n}"))
        for n in range(count)
    ]
    lost = asyncio.ensure_future(
        chat(scene.web.port, scene.site.headers, "given up", until=lambda one: len(one.numbers) > 80)
    )
    crowd = Crowd([])
    while not lost.done():
        crowd.grown = max(crowd.grown, scene.memory - before)
        crowd.connections = max(crowd.connections, await count_connections(scene.site))
        await asyncio.sleep(0.5)
    began = asyncio.get_running_loop().time()
    await cancel(scene, await lost)
    crowd.cancelled = (await see_the_end(scene, "given up")) / 1e9 - began
    crowd.chats = await asyncio.gather(*chats)
    return crowd


async def talk_beside(scene: Scene) -> Heard:
    """Send a message while hundreds of another user's wait."""
    other = create_user(scene.site)
    port, headers = scene.web.port, scene.site.headers
    gate = asyncio.Semaphore(16)

    async def send(number: int) -> None:
        body = {"message": f"crowd {number}", "session_id": f"crowd {number}", "async": True}
        async with gate:
            await call(port, "POST", "/ai-demo/chat/send", headers, body)

    await asyncio.gather(*(send(number) for number in range(CHATS + CROWD)))
    return await chat(port, other, "beside", until=lambda one: one.first > 0)


def create_user(site: Site) -> dict[str, str]:
    made = python("manage.py", "create_token", "other", "--create", environment=site.environment)
    return {"Authorization": f"Bearer {made.split()[-1]}"}


async def cancel(scene: Scene, heard: Heard) -> None:
    path = f"/ai-demo/workflow/cancel/{heard.job_id}"
    await call(scene.web.port, "POST", path, scene.site.headers)


async def see_the_end(scene: Scene, prompt: str) -> int:
    """Return when the model saw the end of a request's connection."""
    while True:
        for request in scene.model.list_requests():
            if request.prompt == prompt and request.ended:
                return request.ended
        await asyncio.sleep(0.02)


async def count_connections(site: Site) -> int:
    if not site.database_url.startswith("postgres"):
        return 0
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute(CONNECTIONS).fetchone()
        return int(row[0]) if row else 0


def p95(samples: Sequence[float]) -> float:
    return statistics.quantiles(samples, n=20)[-1]


def describe_crowd(crowd: Crowd, bare: list[Heard], small: Crowd) -> list[Line]:
    firsts, bare_firsts = ([each.delays[0] for each in chats] for chats in (crowd.chats, bare))
    delays, bare_delays = ([d for each in chats for d in each.delays] for chats in (crowd.chats, bare))
    small_firsts = [each.delays[0] for each in small.chats]
    wrong = count_inexact([*crowd.chats, *small.chats], WORDS)
    peer = "bare relay"
    return [
        line(f"{CHATS} chats, PostgreSQL: first word behind the model's, p50", p50(firsts), "ms",
             peer=p50(bare_firsts), peer_name=peer, bar="≤ 50 ms", held=p50(firsts) <= 50),
        line("the same, p95", p95(firsts), "ms",
             peer=p95(bare_firsts), peer_name=peer, bar="≤ 500 ms", held=p95(firsts) <= 500),
        line("a word of the model's → frame, p95", p95(delays), "ms",
             peer=p95(bare_delays), peer_name=peer, bar="≤ 250 ms", held=p95(delays) <= 250),
        line(f"{ON_SQLITE} chats, SQLite: first word behind the model's, p95", p95(small_firsts), "ms",
             bar="≤ 1,000 ms", held=p95(small_firsts) <= 1000),
        line("chats that lost or doubled a word", wrong, "", bar="0", held=not wrong),
    ]  # fmt: skip


def describe_few(crowd: Crowd, alone: list[Heard], requests: float, waited: Heard) -> list[Line]:
    each = crowd.grown / CHATS / 2**20
    first = p50([one.delays[0] for one in alone])
    idle = p50([one.seconds_to_first for one in alone])
    most = 2 * idle + TURN
    return [
        line("memory of each further chat", each, "MB", bar="≤ 2 MB", held=each <= 2),
        line("connections to PostgreSQL", crowd.connections, "", bar="≤ 30",
             held=crowd.connections <= 30),
        line("one chat: first word behind the model's", first, "ms", bar="≤ 30 ms",
             held=first <= 30),
        line("one chat: requests", requests, "", bar="1", held=requests == 1),
        line("cancel → the model sees the end", crowd.cancelled, "s", bar="≤ 0.5 s",
             held=crowd.cancelled <= 0.5),
        line(f"first word beside {CROWD} waiting chats of another user", waited.seconds_to_first,
             "s", bar=f"≤ {most:.1f} s", held=waited.seconds_to_first <= most),
    ]  # fmt: skip

"""A redeploy under load: every process is replaced, with a migration in between, and jobs run.

    python -m tests.acceptance.redeploy --jobs 200

Two web processes stand behind nginx, beside two clusters. As many streams are open as jobs run, and
messages come in all the while. Then the new version comes as docs/deploy.md says: its migration
first, while the old code runs; then one cluster after the other, and one web process after the
other. Afterwards the books are audited as chaos.py does it, and what every stream was sent.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.chaos import Order, Say, audit, diagnosis
from tests.acceptance.processes import LEDGER, ROOT, SECONDS, Databases, Process, Site, eventually
from tests.acceptance.streams import READ_TIMEOUT, TERMINAL
from tests.servers import HOST, Nginx, Postgres, free_port

# What the new version has and the old one lacks: an app with a migration. It adds a column that the
# old code, which goes on writing rows, knows nothing of: hence the default in the database.
RELEASE = "next_release"
MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE ledger_entry ADD COLUMN pages integer DEFAULT 0 NOT NULL",
            "ALTER TABLE ledger_entry DROP COLUMN pages",
        )
    ]
"""
SETTINGS = {
    "TRUST_PROXY": "true",
    "STREAMS_PER_USER": "100000",
    "QUEUE_CONCURRENCY": "100",
}
# In front of it the jobs wait until all is replaced.
GATE = "redeploy"
# So the clusters give theirs back.
GRACE = 1.0
# What a client meets while the process that it was sent to starts or ends, and comes back for.
NOT_NOW = (502, 503, 504)


@dataclass
class Watcher:
    """Watches a job to its end as a browser does: it comes back whenever its stream breaks off."""

    link: str
    seen: list[int] = field(default_factory=list)
    times: int = 0
    refused: list[str] = field(default_factory=list)
    ended: bool = False
    problem: str = ""

    async def run(self, client: httpx.AsyncClient) -> None:
        while not self.ended and not self.problem:
            try:
                await self.watch(client)
            except httpx.TransportError:
                await asyncio.sleep(0.05)

    async def watch(self, client: httpx.AsyncClient) -> None:
        self.times += 1
        headers = {"Last-Event-ID": str(self.seen[-1])} if self.seen else {}
        async with client.stream("GET", self.link, headers=headers) as answer:
            if answer.status_code in NOT_NOW:
                self.refused.append(f"{answer.status_code}: {(await answer.aread())[:200]!r}")
                await asyncio.sleep(0.05)
                return
            if answer.status_code != 200:
                self.problem = f"a stream was answered with {answer.status_code}"
                return
            event_id = None
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    event_id = int(value)
                elif name == "data" and event_id is not None:
                    self.seen.append(event_id)
                    event_id = None
                    self.ended = json.loads(value)["status"] in TERMINAL
        if not self.ended:
            self.problem = "what was cut off passed for finished"

    def audit(self, head: int) -> str:
        """Say what is wrong with what was seen of a log with *head* events."""
        if self.problem or not self.ended:
            return self.problem or "its end was never seen"
        gapless = self.seen == list(range(1, head + 1))
        return "" if gapless else f"{self.seen} was seen of {head} events"


class Redeploy:
    """Brings the new version to a migrated site, on which nothing runs yet.

    Args:
        site: whose database has the ledger's tables.
        folder: for the new version's code.
        jobs: how many run, and how many streams are open; as many again come in meanwhile.
        say: is told what happens.
    """

    def __init__(self, site: Site, folder: Path, *, jobs: int, say: Say) -> None:
        self.site = site
        self.jobs = jobs
        self.say = say
        self.release = release(folder, site)
        self.webs = [free_port(), free_port()]
        self.sent: dict[str, Order] = {}
        self.watchers: dict[str, Watcher] = {}
        self.done: Counter[str] = Counter()
        self.began = time.monotonic()

    def run(self) -> list[str]:
        """Do it, and return what the audit complains of."""
        self.site.close_gate(GATE)
        webs = [self.site.start_web(port=port) for port in self.webs]
        clusters = [self.start_cluster({}) for _ in webs]
        for cluster in clusters:
            cluster.wait_for(partial(works, cluster))
        with nginx(self.webs) as url:
            self.site.url = url
            asyncio.run(self.replace(webs, clusters))
        return self.summary()

    async def replace(self, webs: list[Process], clusters: list[Process]) -> None:
        """Send jobs and watch them, while the processes are replaced in a thread."""
        headers = {"Authorization": f"Bearer {self.site.token('alice')}"}
        async with httpx.AsyncClient(
            base_url=self.site.url,
            headers=headers,
            timeout=httpx.Timeout(SECONDS, read=READ_TIMEOUT),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        ) as client:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self.jobs):
                    await self.send(client, tasks, number)
                replaced = asyncio.create_task(
                    asyncio.to_thread(self.replace_processes, webs, clusters)
                )
                number = self.jobs
                while not replaced.done() and number < 2 * self.jobs:
                    await self.send(client, tasks, number)
                    number += 1
                    await asyncio.sleep(10 / self.jobs)
                await replaced

    async def send(self, client: httpx.AsyncClient, tasks: asyncio.TaskGroup, number: int) -> None:
        """Send a job, until it is accepted, and begin to watch it."""
        order = Order(
            key=f"order-{number}",
            session=f"session-{number}",
            # Most run side by side in the loop workers, until the gate is opened; some run in a
            # process each, and end before it.
            workflow="async_ledger" if number % 20 else "ledger",
            steps=4 if number % 20 else 2,
            message="",
        )
        body = {
            "message": json.dumps({"steps": order.steps, "stop_at": 3, "gate": GATE}),
            "session_id": order.session,
            "workflow": order.workflow,
            "async": True,
        }
        while True:
            self.done["sends"] += 1
            try:
                answer = await client.post(
                    "/ai-demo/chat/send", json=body, headers={"Idempotency-Key": order.key}
                )
            except httpx.TransportError:
                self.done["sends that broke off"] += 1
                continue
            if answer.status_code not in NOT_NOW:
                break
            self.done[f"sends answered with {answer.status_code}"] += 1
            await asyncio.sleep(0.05)
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
        sent = answer.json()
        self.sent[sent["job_id"]] = order
        watcher = self.watchers[sent["job_id"]] = Watcher(sent["stream_url"])
        tasks.create_task(watcher.run(client))

    def replace_processes(self, webs: list[Process], clusters: list[Process]) -> None:
        """As docs/deploy.md says: migrate, then the clusters, then the web processes."""
        # But for those that run in a process each.
        eventually(lambda: self.count("processing") >= min(self.jobs, 200) * 19 // 20)
        self.tell("replacing begins")
        self.site.manage("migrate", "--verbosity=0", **self.release)
        for web in webs:
            assert ready(web.url), "The old code doesn't count as ready behind the migration."
        self.tell("migrated")
        for cluster in clusters:
            cluster.terminate()
            assert cluster.wait() == 0
            successor = self.start_cluster(self.release)
            successor.wait_for(partial(works, successor))
            self.tell("a cluster is replaced")
        for web, port in zip(webs, self.webs, strict=True):
            web.terminate()
            web.wait()
            successor = self.site.start_web(port=port, **self.release)
            successor.wait_for(partial(ready, successor.url))
            self.tell("a web process is replaced")
        self.site.open_gate(GATE)

    def start_cluster(self, env: dict[str, Any]) -> Process:
        command = self.site.manage_command("qcluster", "--workers=2", f"--grace={GRACE:g}")
        return self.site.start("cluster", command, **env)

    def count(self, state: str) -> int:
        return int(self.site.value(f"SELECT count(*) FROM workflows_job WHERE state = '{state}'"))

    def tell(self, what: str) -> None:
        watching = sum(not each.ended for each in self.watchers.values())
        age = time.monotonic() - self.began
        self.say(f"{age:5.1f} s  {what}; {self.count('processing')} jobs run, {watching} streams")

    def summary(self) -> list[str]:
        heads = dict(self.site.query("SELECT public_id, last_seq FROM workflows_job"))
        [[lost, attempts]] = self.site.query("SELECT sum(lost), sum(attempt) FROM workflows_job")
        watchers = self.watchers.values()
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.done.items()))
        self.say(
            f"{len(heads)} jobs in {attempts} attempts, {lost} of them lost; {told}; "
            f"{sum(each.times for each in watchers)} requests for {len(watchers)} streams, "
            f"{sum(len(each.refused) for each in watchers)} of them refused; "
            f"{sum(heads.values())} frames"
        )
        problems = [
            f"{job}: {wrong}"
            for job, watcher in self.watchers.items()
            if (wrong := watcher.audit(heads[job]))
        ]
        for job, watcher in list(self.watchers.items())[: self.jobs]:
            if watcher.times == 1 and self.sent[job].workflow == "async_ledger":
                problems.append(f"{job}'s stream was never cut: this tested nothing")
        if attempts < 2 * self.jobs:
            problems.append("the clusters had no jobs to give back: this tested nothing")
        problems += [f"a stream was refused: {each}" for one in watchers for each in one.refused]
        if lost:
            problems.append(f"{lost} attempts count as lost")
        return problems + audit(self.site, self.sent, set())


def release(folder: Path, site: Site) -> dict[str, Any]:
    """Write the new version's app into *folder*, and return what its processes are told."""
    migrations = folder / RELEASE / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations.parent, migrations):
        (package / "__init__.py").touch()
    (migrations / "0001_pages.py").write_text(MIGRATION)
    return {"PYTHONPATH": str(folder), "EXTRA_APPS": f"{site.env['EXTRA_APPS']},{RELEASE}"}


@contextmanager
def nginx(ports: list[int]) -> Iterator[str]:
    """Run nginx with deploy/nginx.conf, without https, in front of the ports; yield its address."""
    port = free_port()
    servers = "".join(f"server {HOST}:{each} max_fails=0;" for each in ports)
    conf = (ROOT / "deploy" / "nginx.conf").read_text()
    # The first server only leads to https.
    plain = re.sub(r"server \{\n    listen 80;.*?\n\}\n", "", conf, flags=re.S)
    for pattern, instead in (
        (r"server 127\.0\.0\.1:8000 max_fails=0;", servers),
        (r"listen 443 ssl http2;", f"listen {HOST}:{port};"),
        (r"ssl_\w+ [^;]+;|proxy_cookie_flags [^;]+;|error_log [^;]+;", ""),
        (r"access_log [^;]+;", "access_log off;"),
    ):
        plain, count = re.subn(pattern, instead, plain)
        assert count, pattern
    with Nginx(plain, port=port) as server:
        yield server.url


def works(cluster: Process) -> bool:
    return "The cluster works" in cluster.log()


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def run(site: Site, folder: Path, *, jobs: int, say: Say = print) -> None:
    """Redeploy; fail with a diagnosis when the books don't balance."""
    problems = Redeploy(site, folder, jobs=jobs, say=say).run()
    assert not problems, diagnosis(site, problems)


def main() -> int:
    parser = argparse.ArgumentParser(description="Replace every process under load, then audit.")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kind", choices=["postgres", "sqlite"], default="postgres")
    options = parser.parse_args()
    say = partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="chatflow-redeploy-") as folder, Postgres() as server:
        databases = Databases(server, Path(folder))
        with databases.site(options.kind, extra_apps=(LEDGER,), **SETTINGS) as site:
            try:
                run(site, Path(folder, "next"), jobs=options.jobs, say=say)
            except AssertionError as error:
                print(error, file=sys.stderr)
                return 1
    print("Every job ended once, every entry is there once, every stream had all of its job.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Backups made while jobs run, by the commands of docs/deploy.md, and what a restore means."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import LEDGER, ROOT, SECONDS, Databases, Process, Site, eventually
from tests.acceptance.streams import read_stream
from tests.acceptance.test_cluster import assert_written_once, column, start_ledger
from tests.servers import HOST, Postgres

SECTION = (ROOT / "docs" / "deploy.md").read_text().partition("## Backups")[2]
# As the page has them.
DATA = "/var/lib/postgresql/15/main"
MOMENT = "2026-01-31 14:05:00+00"
LATEST_EVENT = "SELECT type FROM workflows_event ORDER BY job_id DESC, seq DESC LIMIT 1"


def blocks(heading: str, language: str = "bash") -> list[str]:
    """Return the blocks of the section behind a heading."""
    text = SECTION.partition(f"### {heading}\n")[2].partition("\n##")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


class Archiving(Postgres):
    """A server that keeps what changes, as the page has it, in a folder of its own."""

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    def prepare(self) -> None:
        super().prepare()
        subprocess.run(self.bound(["mkdir", "-p", f"{self.backups}/wal"]), check=True)
        [settings] = blocks("To any moment", "ini")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(settings.replace("/srv/backups", str(self.backups)))

    def shell(self, code: str, **replaced: str) -> None:
        """Run a block of the page, with this server for Debian's, and more replaced."""
        for old, new in {
            "/srv/backups": str(self.backups),
            "/var/lib/postgresql/15/before": f"{self.folder}/before",
            DATA: str(self.data),
            **replaced,
        }.items():
            code = code.replace(old, new)
        for part in re.split(r"^(systemctl \w+ postgresql)$", code, flags=re.M):
            if part.startswith("systemctl"):
                self.stop() if "stop" in part else self.start()
            elif part.strip():
                run(part, self.as_postgres(), PGHOST=HOST, PGPORT=str(self.port), PGUSER="postgres")

    def as_postgres(self) -> str:
        account = "setpriv --reuid=postgres --regid=postgres --init-groups"
        return account if os.geteuid() == 0 else ""


def run(code: str, account: str, **env: str) -> None:
    """Run a block in a shell, in which sudo is what *account* says."""
    # Neither the user nor the unit is known here.
    code = f'sudo() {{ shift 2; {account} "$@"; }}\n{code}'
    path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["bash", "-euc", code],
        env=path | env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"


@pytest.fixture
def server() -> Iterator[Archiving]:
    with Archiving() as server:
        yield server


@pytest.fixture
def postgres_site(server: Archiving, tmp_path: Path) -> Iterator[Site]:
    """Return a site on a database and of a role of the names that the page has."""
    with server.connect() as connection:
        connection.execute("CREATE ROLE chatflow LOGIN")
    databases = Databases(server, tmp_path)
    tokens = databases.tokens("postgres")
    with server.connect() as connection:
        connection.execute("CREATE DATABASE chatflow TEMPLATE template_site")
    with Site(server.database_url("chatflow"), tokens=tokens, extra_apps=(LEDGER,)) as site:
        yield site


class Story:
    """Jobs of before a backup, and what becomes of them when it is restored."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.web = site.start_web()
        self.cluster = self.start_cluster()
        self.ended = self.send("before")
        site.finished("alice", self.ended)
        self.running = start_ledger(site, "backup")
        # Its latest words follow a moment later.
        eventually(lambda: site.value(LATEST_EVENT) == "delta")

    def start_cluster(self) -> Process:
        return self.site.start_cluster("--workers=1", "--grace=1")

    def send(self, key: str) -> str:
        """Send a message with an Idempotency-Key, and return its job."""
        answer = self.site.api("alice").post(
            "/ai-demo/chat/send",
            json={"message": '{"steps": 2}', "workflow": "ledger", "async": True},
            headers={"Idempotency-Key": key},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def go_on(self) -> None:
        """Let happen what the backup doesn't have: the job ends, another one comes."""
        self.site.open_gate("backup")
        self.site.finished("alice", self.running)
        self.seen = column(self.site, self.running, "last_seq")
        self.late = self.send("since")
        self.site.finished("alice", self.late)
        self.site.close_gate("backup")

    def restore(self, do: Callable[[], None]) -> None:
        """Stop everything, restore, and start everything."""
        port = int(self.web.url.rpartition(":")[2])
        for process in (self.web, self.cluster):
            process.terminate()
        for process in (self.web, self.cluster):
            process.wait()
        do()
        visits = self.site.visits("backup")
        self.web = self.site.start_web(port=port)
        self.cluster = self.start_cluster()
        self.site.wait_at_gate("backup", visits + 1)

    def rows(self) -> list[tuple[object, ...]]:
        """Return what the database says of the jobs."""
        return self.site.query(
            "SELECT public_id, state, attempt, last_seq FROM workflows_job ORDER BY id"
        )

    def check(self) -> None:
        site, token = self.site, self.site.token("alice")
        streams = f"{site.url}/ai-demo/workflow/stream"
        # A client that has seen more than there is.
        beyond = httpx.get(
            f"{streams}/{self.running}",
            headers={"Authorization": f"Bearer {token}", "Last-Event-ID": str(self.seen)},
        )
        assert (beyond.status_code, beyond.json()["code"]) == (409, "cursor_beyond_head")
        # What was running goes on behind its last finished step.
        site.open_gate("backup")
        assert site.finished("alice", self.running)["state"] == "completed"
        assert_written_once(site, self.running)
        assert (column(site, self.running, "attempt"), column(site, self.running, "lost")) == (2, 1)
        # What had ended is there, and is not run again.
        assert read_stream(f"{streams}/{self.ended}", token=token)[-1]["status"] == "completed"
        assert self.send("before") == self.ended
        # What came since is gone, and can be sent again.
        assert (
            site.value(f"SELECT count(*) FROM workflows_job WHERE public_id = '{self.late}'") == 0
        )
        again = self.send("since")
        assert again != self.late
        assert site.finished("alice", again)["state"] == "completed"
        assert_written_once(site, again, steps=2)


def test_postgresql_is_restored(server: Archiving, postgres_site: Site) -> None:
    base, rewind = blocks("To any moment")
    dump, restore = blocks("A dump")
    server.shell(base)
    story = Story(postgres_site)
    server.shell(dump)
    moment = str(postgres_site.value("SELECT clock_timestamp()::text"))
    story.go_on()

    def go_back() -> None:
        server.shell(restore)
        dumped = story.rows()
        server.shell(rewind, **{MOMENT: moment})
        eventually(lambda: takes_writes(server))
        # Both are of that moment.
        assert story.rows() == dumped

    story.restore(go_back)
    story.check()


def takes_writes(server: Archiving) -> bool:
    with psycopg.connect(server.url) as connection:
        [recovering] = connection.execute("SELECT pg_is_in_recovery()").fetchone() or [True]
    return not recovering


def test_sqlite_is_restored(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site("sqlite", extra_apps=(LEDGER,))
    story = Story(site)
    backup, restore = blocks("SQLite")
    path = Path(urlsplit(site.database_url).path)

    def shell(code: str) -> None:
        for old, new in {
            "/srv/chatflow": str(path.parent),
            "db.sqlite3": path.name,
            "/srv/backups": str(tmp_path),
        }.items():
            code = code.replace(old, new)
        run(code, "")

    shell(backup)
    story.go_on()
    story.restore(lambda: shell(restore))
    story.check()

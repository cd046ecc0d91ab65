"""A whole site of real processes: web servers and clusters on a database, in a temporary folder."""

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import psycopg

from tests.acceptance.nursery import INHERITED, Fork, can_fork, nursery
from tests.acceptance.streams import Stream
from tests.servers import HOST, Postgres, bound, free_port, remove_left_folders

ROOT = Path(__file__).resolve().parent.parent.parent
# Generous: it only ends a wait for what never comes.
SECONDS = 120.0
# What every site has installed: workflows that stop where a test wants them to.
GATES = "tests.acceptance.apps.gates"
# Whose tables every database has: workflows that write down what they did.
LEDGER = "tests.acceptance.apps.ledger"
# In one process: to start one takes longer than all of it. Passwords are the users' names.
PREPARE = """
from io import StringIO
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
for name in ("alice", "bob"):
    User.objects.create_user(name, password=name)
    call_command("create_token", name, stdout=(said := StringIO()))
    print(name, said.getvalue().split()[-1])
"""

T = TypeVar("T")


def eventually(look: Callable[[], T], timeout: float = SECONDS) -> T:
    """Return what *look* returns as soon as it's true; fail when it never is."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Nothing came of it within {timeout:g} s; at last: {found!r}")
        time.sleep(0.02)
    return found


# Linux's own containers, without files and networks of their own: each has the same pids.
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL", "--"]


def children(pid: int) -> list[int]:
    """Return the processes that *pid* has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold anything: state, parent, …
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def may_make_containers() -> bool:
    """Say whether this process may start others behind CONTAINER."""
    if shutil.which(CONTAINER[0]) is None:
        return False
    return subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode == 0


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def launch(
    command: list[str], *, cwd: Path, env: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> subprocess.Popen[bytes] | Fork:
    """Start a process in a group of its own, without input, that ends with the test run."""
    if can_fork(command, env):
        files = {"out": out.fileno(), "err": err.fileno()}
        return nursery().fork(command[1:], cwd=cwd, env=env, **files)
    return subprocess.Popen(
        bound(command, signal.SIGTERM),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
    )


class Process:
    """One process with a log file, in a group of its own that ends with the test run."""

    # Where it listens, if it does.
    url = ""

    def __init__(
        self, command: list[str], *, env: Mapping[str, str], log: Path, cwd: Path = ROOT
    ) -> None:
        self.command = command
        self.log_file = log
        with log.open("ab") as output:
            self._popen = launch(command, cwd=cwd, env=env, out=output, err=output)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End this one process as kill -9 does, and wait for the end."""
        self._popen.kill()
        self._popen.wait(SECONDS)

    def wait(self, timeout: float = SECONDS) -> int:
        """Return the exit status, negative for a signal."""
        return self._popen.wait(timeout)

    def children(self) -> list[int]:
        return children(self.pid)

    def end(self, grace: float = 5.0) -> None:
        """Terminate it, and whatever is left of its group after *grace* seconds."""
        self.terminate()
        try:
            self.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        # The kernel may have given the number of one that ended long ago to another one.
        if self.running or not is_alive(self.pid):
            kill_group(self.pid)
        self._popen.wait(SECONDS)

    def wait_for(self, ready: Callable[[], Any]) -> None:
        """Wait until *ready* is true; fail with the log when the process ends before."""

        def look() -> Any:
            assert self.running, f"{self.command} ended ({self._popen.poll()}):\n{self.log()}"
            return ready()

        try:
            eventually(look)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.command}:\n{self.log()}") from None


class Site:
    """Web servers and clusters that share a database, with Alice and Bob as users.

    Nothing runs until it is started; whatever runs ends with ``stop()``. Settings are given as
    keywords: ``Site(url, STREAM_LINK_TTL="2")``.
    """

    # Whose manage.py and packages it runs with, and where its API is.
    root = ROOT
    python = sys.executable
    application = "chatflow.asgi:application"
    base = "/ai-demo"

    def __init__(
        self,
        database_url: str,
        *,
        tokens: Mapping[str, str] | None = None,
        extra_apps: tuple[str, ...] = (),
        **settings: Any,
    ) -> None:
        remove_left_folders()
        self.folder = Path(tempfile.mkdtemp(prefix=f"chatflow-{os.getpid()}-site-"))
        self.gates = self.folder / "gates"
        self.gates.mkdir()
        self.database_url = database_url
        # Of the web server that was started first.
        self.url = ""
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only-for-the-acceptance-tests",
            "DATABASE_URL": database_url,
            "METRICS_DIR": str(self.folder / "metrics"),
            "EXTRA_APPS": ",".join([GATES, *extra_apps]),
            "ACCEPTANCE_GATES": str(self.gates),
            "RATE_LIMIT_SEND": "100000/min",
            "RATE_LIMIT_UPLOAD": "100000/min",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self.processes: list[Process] = []
        self._tokens = dict(tokens or {})
        self._clients: list[httpx.Client] = []
        self._api: dict[str, httpx.Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # Processes.

    def start(self, name: str, command: list[str], **env: Any) -> Process:
        log = self.folder / f"{name}-{len(self.processes) + 1}.log"
        process = Process(command, env=self.env | env, log=log, cwd=self.root)
        self.processes.append(process)
        return process

    def start_web(self, *options: str, port: int | None = None, **env: Any) -> Process:
        """Start uvicorn, and return when it answers."""
        port = port or free_port()
        command = [self.python, "-m", "uvicorn", self.application]
        command += ["--http=chatflow.door:Door", f"--host={HOST}", f"--port={port}"]
        return self.serve("web", [*command, *options], port, **env)

    def serve(self, name: str, command: list[str], port: int, **env: Any) -> Process:
        """Start a web server that is told to listen on *port*; return when it answers."""
        process = self.start(name, command, **env)
        process.url = f"http://{HOST}:{port}"
        self.url = self.url or process.url
        process.wait_for(lambda: answers(process.url))
        return process

    def start_cluster(self, *options: str, **env: Any) -> Process:
        """Start ``manage.py qcluster``, and return when it works."""
        process = self.start("cluster", self.manage_command("qcluster", *options), **env)
        process.wait_for(lambda: "The cluster works" in process.log())
        return process

    def manage_command(self, *arguments: str) -> list[str]:
        return [self.python, "manage.py", *arguments]

    def manage(
        self, *arguments: str, check: bool = True, **env: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end; with *check* a failing one fails the test."""
        command = self.manage_command(*arguments)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = launch(command, cwd=self.root, env=self.env | env, out=out, err=err)
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                # It tells no code, which is none that anybody expects.
                kill_group(process.pid)
                code = process.wait(SECONDS)
            out.seek(0)
            err.seek(0)
            said, complained = out.read().decode(), err.read().decode()
        if check:
            assert code == 0, f"{arguments}:\n{said}{complained}"
        return subprocess.CompletedProcess(command, code, said, complained)

    def logs(self) -> str:
        """Return what all processes of the site have written so far."""
        return "".join(process.log() for process in self.processes)

    def stop(self) -> None:
        """End everything that was started, and remove the folder."""
        for client in self._clients:
            client.close()
        for process in self.processes:
            if process.running:
                process.terminate()
        for process in self.processes:
            process.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The database.

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement, past Chatflow; return its rows, if it has any."""
        if self.is_sqlite:
            connection = sqlite3.connect(urlsplit(self.database_url).path, timeout=20)
            try:
                with connection:
                    return connection.execute(sql).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.database_url, autocommit=True) as postgres:
            cursor = postgres.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str) -> Any:
        """Return the one value that a query has."""
        [[value]] = self.query(sql)
        return value

    # Gates: see apps/gates. A workflow waits at a closed one.

    def close_gate(self, name: str) -> None:
        (self.gates / f"{name}.closed").touch()

    def open_gate(self, name: str) -> None:
        (self.gates / f"{name}.closed").unlink()

    def wait_at_gate(self, name: str, times: int = 1) -> None:
        """Wait until a workflow has come to the gate, for the *times*-th time."""
        eventually(lambda: self.visits(name) >= times)

    def visits(self, name: str) -> int:
        """Return how often workflows have come to the gate."""
        visits = self.gates / f"{name}.visits"
        return visits.stat().st_size if visits.exists() else 0

    # HTTP.

    def token(self, user: str) -> str:
        """Return a Bearer token of the user, who is made if need be."""
        if user not in self._tokens:
            done = self.manage("create_token", user, "--create")
            self._tokens[user] = done.stdout.split()[-1]
        return self._tokens[user]

    def client(self, user: str | None = None, url: str = "") -> httpx.Client:
        """Return a client of the site that calls with the user's token, or with nothing."""
        headers = {"Authorization": f"Bearer {self.token(user)}"} if user else {}
        client = httpx.Client(
            base_url=url or self.url, headers=headers, timeout=SECONDS, trust_env=False
        )
        self._clients.append(client)
        return client

    def api(self, user: str) -> httpx.Client:
        """Return the one client that this user's calls of the methods below share."""
        if user not in self._api:
            self._api[user] = self.client(user)
        return self._api[user]

    def send(self, user: str, message: str, **fields: Any) -> dict[str, Any]:
        """Send a message, by default in the background, and return the answer."""
        body = {"message": message, "async": True} | fields
        answer = self.api(user).post(f"{self.base}/chat/send", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def status(self, user: str, job_id: str) -> dict[str, Any]:
        answer = self.api(user).get(f"{self.base}/workflow/status/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def finished(self, user: str, job_id: str) -> dict[str, Any]:
        """Wait for the job's end, and return its status."""

        def look() -> dict[str, Any] | None:
            data = self.status(user, job_id)
            return data if data["state"] not in ("queued", "processing") else None

        return eventually(look) or {}

    def run(self, user: str, message: str, **fields: Any) -> dict[str, Any]:
        """Send a message in the background and wait for the end; return the status."""
        return self.finished(user, self.send(user, message, **fields)["job_id"])

    def busy_worker(self, job_id: str) -> int:
        """Return the process that runs the job, as soon as one does."""
        sql = f"SELECT pid FROM workflows_job WHERE state = 'processing' AND public_id = '{job_id}'"
        return int(eventually(lambda: self.query(sql))[0][0])


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


class Databases:
    """Migrated databases with Alice and Bob in them; each kind is made once, then copied.

    Args:
        postgres: on which those of that kind are made.
        folder: for those of SQLite.
        shared: a folder in which test runs side by side leave what the others need not make.
    """

    def __init__(self, postgres: Postgres, folder: Path, shared: Path | None = None) -> None:
        self._postgres = postgres
        self._folder = folder
        self._shared = shared or folder
        self._count = 0
        self._templates: dict[str, str] = {}
        self._tokens: dict[str, dict[str, str]] = {}

    def create(self, kind: str) -> str:
        """Return the URL of a new database of that kind: sqlite or postgres."""
        self.tokens(kind)
        self._count += 1
        if kind == "sqlite":
            path = self._folder / f"site{self._count}.sqlite3"
            shutil.copyfile(urlsplit(self._templates[kind]).path, path)
            return f"sqlite:///{path}"
        name = f"site{self._count}"
        with self._postgres.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template_site".encode())
        return self._postgres.database_url(name)

    def tokens(self, kind: str) -> dict[str, str]:
        """Return the tokens that are good in each database of that kind."""
        if kind not in self._tokens:
            self._prepare(kind)
        return self._tokens[kind]

    def _prepare(self, kind: str) -> None:
        if kind == "sqlite":
            self._templates[kind] = f"sqlite:///{self._shared / 'template.sqlite3'}"
        else:
            self._templates[kind] = self._postgres.create_database("template_site")
        dump, tokens = self._shared / f"{kind}.dump", self._shared / f"{kind}.json"
        with (self._shared / f"{kind}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not tokens.exists():
                made = self._fill(self._templates[kind])
                if kind == "postgres":
                    self._postgres.dump("template_site", dump)
                tokens.write_text(json.dumps(made))
            elif kind == "postgres":
                self._postgres.restore("template_site", dump)
        self._tokens[kind] = json.loads(tokens.read_text())

    def _fill(self, url: str) -> dict[str, str]:
        """Make the tables and the users; return these users' tokens."""
        with Site(url, extra_apps=(LEDGER,)) as site:
            printed = site.manage("shell", "--command", PREPARE).stdout.splitlines()
        return dict(line.split() for line in printed[-2:])

    def site(self, kind: str, **options: Any) -> Site:
        """Return a site on a database of its own, with nothing started."""
        return Site(self.create(kind), tokens=self.tokens(kind), **options)


__all__ = ["Databases", "Process", "Site", "Stream", "children", "eventually", "is_alive"]

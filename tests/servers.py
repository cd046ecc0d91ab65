"""Real servers for tests, on free loopback ports and in temporary folders.

    with Postgres() as server:
        url = server.create_database("chatflow")

From a shell: ``python -m tests.servers postgres -- CMD…`` runs CMD with DATABASE_URL set.

A server ends with the thread that started it, even when the test run is killed: the kernel sees
to that.
"""

import argparse
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import ClassVar, Self

import psycopg
from psycopg import sql

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class ServerError(RuntimeError):
    """A server is not installed, or did not start or stop; the message says why."""


def free_port() -> int:
    """Return a port that nobody listens on.

    It lies below the range that the kernel gives to outgoing connections, so that none of them
    takes it while its server is down.
    """
    while True:
        port = random.randint(15_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port


def find_program(name: str, *folders: Path, package: str) -> Path:
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise ServerError(f"{name} is missing: install the Debian package {package}.")
    return Path(found)


def remove_left_folders() -> None:
    """Remove the folders of killed test runs; the number in a folder's name is the run's pid."""
    for folder in Path(tempfile.gettempdir()).glob("chatflow-[0-9]*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def bound(command: list[str], death: signal.Signals, *options: str) -> list[str]:
    """Return the command such that the kernel ends it with the thread that starts it."""
    setpriv = find_program("setpriv", package="util-linux")
    return [str(setpriv), f"--pdeathsig={death.name.removeprefix('SIG')}", *options, *command]


class Server:
    """One process with a port and a folder of its own; a subclass knows how to run it."""

    variable: ClassVar[str]  # the environment variable that carries the URL
    # How to end it when the test run is gone.
    orphan_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()
        remove_left_folders()
        prefix = f"chatflow-{os.getpid()}-{type(self).__name__.lower()}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.kill()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Prepare the first start; called once."""

    def responds(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        if self.process is not None:
            raise ServerError(f"{type(self).__name__} runs already.")
        with self.log.open("ab") as log:
            # A session of its own: the terminal's Ctrl-C is for the tests.
            self.process = subprocess.Popen(
                self.bound(self.command()),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.responds():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.terminate(signal.SIGKILL)
                reason = "ended at once" if ended else f"did not answer in {START_SECONDS:.0f} s"
                raise ServerError(f"{type(self).__name__} {reason}:\n{self.log.read_text()}")
            time.sleep(0.02)

    def bound(self, command: list[str]) -> list[str]:
        return bound(command, self.orphan_signal)

    def terminate(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end; a server that is not running is left alone."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            message = f"{type(self).__name__} did not stop in {STOP_SECONDS:.0f} s."
            raise ServerError(message) from None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    def stop(self) -> None:
        self.terminate(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.terminate(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()


class Postgres(Server):
    variable = "DATABASE_URL"
    orphan_signal = signal.SIGQUIT
    # The modes of pg_ctl are signals to the server.
    modes: ClassVar = {
        "smart": signal.SIGTERM,
        "fast": signal.SIGINT,
        "immediate": signal.SIGQUIT,
    }

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgres://postgres@{HOST}:{self.port}/{name}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def program(self, name: str) -> str:
        # All that are installed, unless one is asked for: noxfile.py.
        version = os.environ.get("POSTGRES_VERSION", "*")
        versions = Path("/usr/lib/postgresql").glob(f"{version}/bin")
        newest_first = sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
        return str(find_program(name, *newest_first, package="postgresql"))

    def prepare(self) -> None:
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            try:
                account = pwd.getpwnam("postgres")
            except KeyError:
                message = "There is no user postgres: install the Debian package postgresql."
                raise ServerError(message) from None
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        initdb = [self.program("initdb"), f"--pgdata={self.data}", "--username=postgres"]
        initdb += ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            self.bound(initdb), cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        options = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "fsync": "off",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        return [self.program("postgres"), "-D", str(self.data), *settings]

    def bound(self, command: list[str]) -> list[str]:
        account = ["--reuid=postgres", "--regid=postgres", "--init-groups"]
        return bound(command, self.orphan_signal, *(account if os.geteuid() == 0 else []))

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True, connect_timeout=2)

    def responds(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, mode: str = "fast") -> None:
        self.terminate(self.modes[mode])

    def kill(self) -> None:
        self.stop("immediate")

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def create_database(self, name: str) -> str:
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.database_url(name)

    def dump(self, name: str, file: Path) -> None:
        """Write a database into a file."""
        self._copy("pg_dump", "--format=custom", f"--file={file}", self.database_url(name))

    def restore(self, name: str, file: Path) -> None:
        """Fill an empty database with what ``dump()`` has written."""
        self._copy("pg_restore", f"--dbname={self.database_url(name)}", str(file))

    def _copy(self, program: str, *options: str) -> None:
        command = [self.program(program), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def terminate_backends(self) -> int:
        """Cut every client's connection and return how many there were."""
        with self.connect() as connection:
            return connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).rowcount


class Redis(Server):
    variable = "REDIS_URL"

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        program = find_program("redis-server", package="redis-server")
        options = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.folder)]
        return [str(program), *options, "--save", "", "--appendonly", "no"]


class Nginx(Server):
    """nginx with the given http block, which has to listen on ``port``."""

    variable = "NGINX_URL"

    def __init__(self, http: str, *, port: int) -> None:
        super().__init__()
        self.http = http
        self.port = port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        temporary = "".join(
            f"{kind}_temp_path {self.folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # The workers keep root's right to the temporary folder; without root the line is void.
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"""{user}
daemon off;
pid {self.folder / "nginx.pid"};
error_log stderr;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    {temporary}
    {self.http}
}}
"""
        )

    def command(self) -> list[str]:
        program = find_program("nginx", package="nginx-light")
        folder = str(self.folder)
        return [str(program), "-p", folder, "-c", f"{folder}/nginx.conf", "-e", "stderr"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers", description="Run a command beside real servers."
    )
    parser.add_argument("servers", nargs="+", choices=["postgres", "redis"])
    names, command = split(sys.argv[1:])
    servers = parser.parse_args(names).servers
    if not command:
        parser.error("a command is missing after --")
    try:
        return run(servers, command)
    except ServerError as error:
        print(f"tests.servers: {error}", file=sys.stderr)
        return 1


def run(names: list[str], command: list[str]) -> int:
    """Return the command's exit status, as a shell counts it."""
    with ExitStack() as stack:
        environment = dict(os.environ)
        for name in dict.fromkeys(names):
            if name == "postgres":
                postgres = stack.enter_context(Postgres())
                environment[postgres.variable] = postgres.create_database("chatflow")
            else:
                redis = stack.enter_context(Redis())
                environment[redis.variable] = redis.url
        status = wait(subprocess.Popen(bound(command, signal.SIGTERM), env=environment))
    return status if status >= 0 else 128 - status


def wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end, and pass on this process's signals; Ctrl-C has reached both."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, pass_on)
    return process.wait()


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())

"""The scripts, pins and servers that everything else stands on."""

import ast
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from chatflow.conf import DECLARED
from tests.servers import HOST, Nginx, Postgres, Redis, ServerError, find_program, free_port

ROOT = Path(__file__).resolve().parent.parent

# Nothing here touches the site's own database: once is enough.
pytestmark = pytest.mark.sqlite

MAKEFILE = (ROOT / "Makefile").read_text()
READ_BY_DEMO = {"HOST"}
READ_BY_SDKS = {"OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OLLAMA_BASE_URL"}
READ_BY_SDKS |= {"OTEL_EXPORTER_OTLP_ENDPOINT"}


# .env.example


def read_documented() -> dict[str, str]:
    lines = re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M)
    return dict(lines)


def read_by_settings() -> dict[str, object]:
    """Return each name that settings.py reads, with its default where that is a plain value."""
    found: dict[str, object] = {
        name: None if each.default in ("", [], {}) else each.default
        for name, each in DECLARED.items()
    }
    for node in ast.walk(ast.parse((ROOT / "chatflow/settings.py").read_text())):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env")):
            continue
        match node.args:
            case [ast.Constant(value=str(name)), *rest]:
                given = rest[:1] + [word.value for word in node.keywords if word.arg == "default"]
                try:
                    found[name] = ast.literal_eval(given[0])
                except (IndexError, ValueError):
                    found[name] = None
    return found


def test_every_setting_is_documented_and_nothing_else() -> None:
    settings = read_by_settings()
    assert {"SECRET_KEY", "DATABASE_URL", "WORKFLOW_TRIES"} <= set(settings)
    assert set(read_documented()) - READ_BY_DEMO - READ_BY_SDKS == set(settings)


def test_documented_defaults_are_the_real_ones() -> None:
    for name, default in read_by_settings().items():
        match default:
            case None:
                continue
            case bool():
                text = str(default).lower()
            case list() | tuple():
                text = ",".join(map(str, default))
            case _:
                text = str(default)
        assert read_documented()[name] == text, name


# Packages


def pins(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text().splitlines():
        requirement = line.partition("#")[0].strip().removesuffix("\\").strip()
        if requirement and not requirement.startswith(("-r ", "--hash=")):
            version = requirement.partition(" ;")[0]
            match = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([^\s;]+)", version)
            assert match, f"{name}: {line!r} is not pinned"
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return found


@pytest.mark.parametrize("name", ["", "-dev", "-sbom", "-docs"])
def test_every_requirement_is_pinned_with_all_that_it_brings(name: str) -> None:
    wanted, pinned = pins(f"requirements{name}.txt"), pins(f"pins{name}.txt")
    assert wanted.items() <= pinned.items()
    assert len(pinned) > len(wanted)
    if name == "-dev":
        assert pins("pins.txt").items() <= pinned.items()
        assert pins("requirements.txt").items() <= pinned.items()


@pytest.mark.parametrize("name", ["", "-dev", "-sbom", "-docs"])
def test_every_pin_has_hashes(name: str) -> None:
    """So pip takes the files that were looked at, and no others."""
    text = (ROOT / f"pins{name}.txt").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert len(blocks) == len(pins(f"pins{name}.txt"))
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", block, re.M), block
    assert "://" not in text


def test_make_installs_pinned_files_only() -> None:
    installs = re.findall(r"pip.*\binstall\b(?:.*\\\n)*.*", MAKEFILE)
    installs += re.findall(r"^.*\$\(PIP\) install.*$", MAKEFILE, re.M)
    assert len(installs) >= 4
    for line in installs:
        # What resolves the pins can't be among them.
        assert "--require-hashes" in line or "$(RESOLVER)" in line, line
    assert re.search(r"^RESOLVER := uv==[\d.]+$", MAKEFILE, re.M)


def test_the_sbom_names_every_pin(tmp_path: Path) -> None:
    """By the command of ``make sbom``, without a network."""
    [command] = re.findall(r"^\t@\$\(SBOM\)/(bin/cyclonedx-py .*) pins.txt$", MAKEFILE, re.M)
    program = ROOT / ".sbom-venv" / command.split()[0]
    if not program.exists():
        pytest.skip("`make sbom` and `make test` install its program")
    written = tmp_path / "sbom.json"
    words = command.replace("sbom.json", str(written)).split()[1:]
    subprocess.run([program, *words, "pins.txt"], cwd=ROOT, check=True, capture_output=True)
    sbom = json.loads(written.read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    named = {
        re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in sbom["components"]
    }
    assert named == pins("pins.txt")
    assert "sha256" in written.read_text().lower().replace("-", "")


def test_every_runtime_requirement_says_what_it_is_for() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines[2:] if " # " not in line] == []


# The tests


def test_one_that_hangs_ends_the_run_and_is_named(tmp_path: Path) -> None:
    """Where xdist replaced the process that ended, the run would wait for ever."""
    file = tmp_path / "test_hanging.py"
    file.write_text(
        "import time\ndef test_a(): pass\ndef test_b(): time.sleep(600)\ndef test_c(): pass"
    )
    options = ["-n", "2", "--dist", "loadfile", "-o", "faulthandler_timeout=2"]
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", *options, str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert run.returncode == 1
    assert "crashed while running '::test_b'" in run.stdout


# Scripts


@pytest.mark.parametrize("script", [".ci/run", "manage.py", "bin/demo", "bin/install-system"])
def test_scripts_are_executable(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_a_missing_system_package_fails_in_ci_only(ci: str, status: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [shutil.which("bash") or "bash", "bin/install-system", "no-such-package"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert "Missing: no-such-package" in done.stderr


# bin/demo, in a project whose Django is a stub

STUB_MANAGE = """
import os, subprocess, sys, time
open("commands", "a").write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "prepare_demo" and "--no-users" not in sys.argv:
    print("The password of demo is d3m0")
    print("The password of admin is adm1n", flush=True)
    print("Some words.")
    print("The token of demo is the-token")
    print("The link of demo is /accounts/once/?token=abc")
    open("prepared", "w").close()
    time.sleep(int(os.environ.get("PREPARING", 0)))
    sys.exit(os.environ.get("PREPARED"))
elif sys.argv[1] == "qcluster":
    if "--standby" in sys.argv:
        from chatflow.workflows.cluster.standby import stand_by
        stand_by()
    child = subprocess.Popen(["sleep", "300"])
    open("cluster.pids", "w").write(f"{os.getpid()} {child.pid}")
    time.sleep(300)
"""

STUB_ASGI = """
import os
open("web.pids", "w").write(str(os.getpid()))
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "bin/demo"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PORT": str(self.port)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pids(self) -> list[int]:
        files = [self.folder / "web.pids", self.folder / "cluster.pids"]
        return [int(pid) for file in files if file.exists() for pid in file.read_text().split()]

    def is_gone(self) -> bool:
        return not any(runs(pid) for pid in self.pids())


def runs(pid: int) -> bool:
    try:
        # The state follows the command's name, which stands in brackets.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def watches_files(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return any(
            "inotify wd" in each.read_text() for each in Path(f"/proc/{pid}/fdinfo").iterdir()
        )
    return False


def ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Chatflow is ready:"):
            return line
    raise AssertionError("the demo ended before it was ready")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "chatflow").mkdir()
    (tmp_path / "chatflow/workflows/cluster").mkdir(parents=True)
    copied = (
        "chatflow/environment.py",
        "chatflow/kinds.py",
        "chatflow/door.py",
        "chatflow/workflows/cluster/standby.py",
    )
    for file in ("bin/demo", *copied):
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "chatflow/development", tmp_path / "chatflow/development")
    (tmp_path / "manage.py").write_text(STUB_MANAGE)
    (tmp_path / "chatflow/asgi.py").write_text(STUB_ASGI)
    demo = Demo(tmp_path)
    yield demo
    for pid in demo.pids():
        if runs(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_runs_until_it_is_told_to_stop(demo: Demo, number: signal.Signals) -> None:
    with demo.start() as process:
        line = ready_line(process)
        assert f"http://127.0.0.1:{demo.port}/ai-demo/chat/" in line
        assert line.endswith("the-token\n")
        assert len(demo.pids()) == 3
        assert all(map(runs, demo.pids()))
        process.send_signal(number)
        assert process.wait(20) == 0
    assert demo.is_gone()


def test_demo_says_how_to_get_in(demo: Demo) -> None:
    """Once it is ready, and its passwords before: a start that fails must not lose them."""
    with demo.start() as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Or open this"):
                break
        process.terminate()
    text = "".join(lines)
    assert "New passwords, which are shown this once: demo has d3m0, admin has adm1n\n" in text
    assert " - sign in as demo, password d3m0 - token the-token\n" in text
    assert text.index("New passwords") < text.index("Chatflow is ready")
    assert f"once: http://127.0.0.1:{demo.port}/accounts/once/?token=abc\n" in lines[-1]


def test_demo_tells_new_passwords_even_where_it_fails(demo: Demo) -> None:
    with demo.start(PREPARED="No table, no token.") as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "New passwords, which are shown this once: demo has d3m0, admin has adm1n\n" in output
    assert "No table, no token.\n" in output
    assert output.endswith("bin/demo: manage.py prepare_demo failed.\n")
    assert demo.is_gone()


def test_demo_can_be_stopped_while_it_prepares_the_database(demo: Demo) -> None:
    with demo.start(PREPARING="300") as process:
        read_until(process, "Preparing the database")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == 3)
        family = list(map(int, children.read_text().split()))
        wait_until((demo.folder / "prepared").exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "New passwords, which are shown this once: demo has d3m0, admin has adm1n\n" in output
    assert not any(map(runs, family))


def test_demo_sees_an_edit_while_it_prepares_the_database(demo: Demo) -> None:
    (demo.folder / "team.py").write_text("WORD = 'old'\n")
    loads = "import team\nopen('loaded', 'a').write(team.WORD + '\\n')\n"
    (demo.folder / "chatflow/asgi.py").write_text(f"{loads}{STUB_ASGI}")
    loaded = demo.folder / "loaded"
    with demo.start(PREPARING="2") as process:
        wait_until(lambda: loaded.exists() and loaded.read_text() == "old\n")
        wait_until(lambda: watches_files(process.pid))
        (demo.folder / "team.py").write_text("WORD = 'newer'\n")
        ready_line(process)
        process.terminate()
    assert loaded.read_text() == "old\nnewer\n"


def test_demo_says_what_can_not_be_loaded(demo: Demo) -> None:
    (demo.folder / "team.py").write_text("x = y\n")
    (demo.folder / "chatflow/asgi.py").write_text(f"import team\n{STUB_ASGI}")
    with demo.start() as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    [said] = output.split("bin/demo: ")[1:]
    assert said.startswith("the web server can't load the code.\n")
    assert '  File "team.py", line 1, in <module>\n' in said
    assert "NameError: name 'y' is not defined" in said
    # The cluster, which had loaded it, never began.
    assert demo.pids() == []


def test_demo_makes_nobody_where_others_come(demo: Demo) -> None:
    with demo.start(HOST="0.0.0.0") as process:
        line = ready_line(process)
        assert process.stdout is not None
        advice = process.stdout.readline()
        process.terminate()
    assert line == f"Chatflow is ready: http://127.0.0.1:{demo.port}/ai-demo/chat/\n"
    assert "`manage.py createsuperuser` makes one" in advice
    assert "prepare_demo --no-users\n" in (demo.folder / "commands").read_text()


def test_demo_writes_a_secret_key_for_its_owner_alone(demo: Demo) -> None:
    env_file = demo.folder / ".env"
    env_file.write_text("DEBUG=true\nSECRET_KEY=\n\n# last")
    texts = []
    for _ in range(2):
        with demo.start() as process:
            ready_line(process)
            process.terminate()  # and nobody reads its output from here on
        assert process.returncode == 0
        assert demo.is_gone()
        texts.append(env_file.read_text())
    assert texts[0] == texts[1]
    assert re.fullmatch(r"DEBUG=true\nSECRET_KEY=[\w-]{50,}\n\n# last", texts[0])
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_demo_reads_the_file_as_the_settings_do(demo: Demo) -> None:
    """With a comment behind a value, quotes, and signs that mean something elsewhere."""
    text = f"export PORT='{demo.port}'  # mine\nHOST=localhost # this machine\nSECRET_KEY=$a#b"
    (demo.folder / ".env").write_text(text)
    with demo.start(PORT="", HOST="") as process:
        assert f"http://localhost:{demo.port}/" in ready_line(process)
        process.terminate()
    assert (demo.folder / ".env").read_text() == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_demo_leaves_the_file_as_its_editor_wrote_it(demo: Demo, encoding: str) -> None:
    """With its byte-order mark and its line ends, around the key that is put there."""
    env_file = demo.folder / ".env"
    env_file.write_bytes("# für uns\r\nSECRET_KEY = ''\r\nDEBUG=true\r\n".encode(encoding))
    with demo.start() as process:
        ready_line(process)
        process.terminate()
    text = env_file.read_bytes().decode(encoding)
    assert re.fullmatch("# für uns\r\nSECRET_KEY=[\\w-]{50,}\r\nDEBUG=true\r\n", text)


def test_demo_names_the_line_that_it_can_not_read(demo: Demo) -> None:
    (demo.folder / ".env").write_text("DEBUG=true\nSECRET_KEY='a\n")
    with demo.start() as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output.startswith(f"bin/demo: Line 2 of {demo.folder / '.env'} can't be read")


def test_demo_refuses_a_port_in_use(demo: Demo) -> None:
    with socket.create_server((HOST, demo.port)), demo.start() as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"port {demo.port} on 127.0.0.1 is in use" in output
    assert not (demo.folder / ".env").exists()


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_demo_refuses_what_is_no_port(demo: Demo, port: str) -> None:
    with demo.start(PORT=port) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"PORT must be a number from 1 to 65535, not {port!r} (in the environment)." in output
    (demo.folder / ".env").write_text(f"\nPORT={port}\n")
    with demo.start(PORT="") as process:
        output, _ = process.communicate(timeout=20)
    assert f"not {port!r} (line 2 of {demo.folder / '.env'})." in output


@pytest.mark.parametrize(("file", "name"), [("web", "web server"), ("cluster", "cluster")])
def test_demo_stops_when_one_of_its_servers_dies(demo: Demo, file: str, name: str) -> None:
    with demo.start() as process:
        ready_line(process)
        os.kill(int((demo.folder / f"{file}.pids").read_text().split()[0]), signal.SIGKILL)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"the {name} ended by itself" in output
    assert demo.is_gone()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what the demo has said from now on, up to the line that has the text."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"the demo ended without {text!r}:\n{said}")


@contextmanager
def running(demo: Demo) -> Iterator[subprocess.Popen[str]]:
    """Start the demo, and end it where a test fails: it would be waited for."""
    with demo.start() as process:
        try:
            ready_line(process)
            yield process
        except BaseException:
            process.kill()
            raise


def fetch(demo: Demo) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{demo.port}/", timeout=20) as response:
        return str(response.read().decode())


def test_demo_replaces_both_servers_at_an_edit(demo: Demo) -> None:
    with running(demo) as process:
        old = demo.pids()
        asgi = demo.folder / "chatflow/asgi.py"
        asgi.write_text(STUB_ASGI.replace('b"ok"', 'b"new"'))
        # Nobody is refused meanwhile.
        wait_until(lambda: fetch(demo) == "new")
        said = read_until(process, "The new code runs")
        assert "Edited: chatflow/asgi.py\n" in said
        wait_until(lambda: not any(map(runs, old)))
        assert len(demo.pids()) == 3
        assert all(map(runs, demo.pids()))
        process.terminate()
    assert process.returncode == 0
    assert demo.is_gone()


def test_demo_runs_on_with_the_old_code_where_the_new_is_wrong(demo: Demo) -> None:
    team = demo.folder / "team.py"
    team.touch()
    (demo.folder / "chatflow/asgi.py").write_text(f"import team\n{STUB_ASGI}")
    with running(demo) as process:
        old = demo.pids()
        team.write_text("def count(:\n")
        said = read_until(process, "SyntaxError: ")
        assert "The new code can't be loaded; the old code runs on.\n" in said
        # The line of the author's, and none of the many between.
        assert said.count('File "') == 1
        assert 'File "team.py", line 1\n' in said
        assert (fetch(demo), demo.pids()) == ("ok", old)
        assert all(map(runs, old))
        team.write_text("def count():\n    pass\n")
        assert "SyntaxError" not in read_until(process, "The new code runs")
        wait_until(lambda: not any(map(runs, old)))
        process.terminate()
    assert demo.is_gone()


def test_a_second_ctrl_c_ends_the_demo_at_once(demo: Demo) -> None:
    (demo.folder / "manage.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STUB_MANAGE
    )
    with running(demo) as process:
        cluster = demo.pids()[1]
        process.send_signal(signal.SIGINT)
        read_until(process, "Stopping")
        assert runs(cluster)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    assert demo.is_gone()


def test_a_killed_demo_leaves_no_server(demo: Demo) -> None:
    with demo.start() as process:
        ready_line(process)
        leaders = [int(file.read_text().split()[0]) for file in demo.folder.glob("*.pids")]
        process.kill()
    wait_until(lambda: not any(map(runs, leaders)))


# tests/servers.py


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def test_postgres_keeps_its_rows_over_a_crash(postgres: Postgres) -> None:
    url = postgres.create_database("crash")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    postgres.restart("immediate")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_postgres_cuts_every_connection(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        assert postgres.terminate_backends() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_postgres_stops_and_starts(postgres: Postgres, mode: str) -> None:
    postgres.stop(mode)
    assert not postgres.responds()
    postgres.start()
    assert postgres.responds()


def test_redis_comes_back_on_the_same_port() -> None:
    with Redis() as server:
        for _ in range(2):
            with socket.create_connection((HOST, server.port)) as connection:
                connection.sendall(b"PING\r\n")
                assert connection.recv(7) == b"+PONG\r\n"
            server.restart()
    assert not server.responds()
    assert not server.folder.exists()


def test_nginx_serves_what_it_is_given() -> None:
    port = free_port()
    with Nginx(f"server {{ listen {HOST}:{port}; return 200 hello; }}", port=port) as server:
        with urllib.request.urlopen(server.url) as response:
            assert response.read() == b"hello"


def test_a_wrong_configuration_shows_what_the_server_said() -> None:
    with pytest.raises(ServerError, match="unknown directive"), Nginx("nonsense;", port=1):
        pass


def test_a_missing_server_names_its_package() -> None:
    with pytest.raises(ServerError, match="install the Debian package nginx-light"):
        find_program("no-such-program", package="nginx-light")


def start_server_runner() -> subprocess.Popen[str]:
    command = "echo $DATABASE_URL; exec sleep 300"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.servers", "postgres", "--", "sh", "-c", command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_server_outlives_its_test_run(number: signal.Signals) -> None:
    with start_server_runner() as process:
        assert process.stdout is not None
        match = re.search(r":(\d+)/chatflow", process.stdout.readline())
        assert match
        process.send_signal(number)
        process.wait(20)

    def refuses() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, int(match[1]))) != 0

    wait_until(refuses)


def test_the_command_line_returns_the_commands_exit_status() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers", "redis", "--", "sh", "-c", "exit 7"],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 7


# deploy/


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy").glob("*.service")), ids=lambda p: p.name)
def test_a_unit_gives_up_what_it_does_not_need(unit: Path) -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M))
    wanted = {
        "NoNewPrivileges": "true",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "ReadWritePaths": "/srv/chatflow",
        "UMask": "0077",
        "SystemCallFilter": "@system-service",
    }
    assert {name: settings.get(name) for name in wanted} == wanted

"""``make demo`` in a copy of the project."""

import os
import re
import signal
import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.checkout import Checkout, Demo
from tests.acceptance.processes import eventually, is_alive
from tests.servers import HOST, free_port

TEAM = """
from pathlib import Path
from time import sleep

from chatflow.workflows import Context, workflow

HERE = Path(__file__).parent


@workflow("hello", triggers=["hello"])
def hello(ctx: Context) -> str:
    return "First."


@workflow("broken", triggers=["broken"])
def broken(ctx: Context) -> str:
    raise ZeroDivisionError("Nothing is left.")


@workflow("patient", triggers=["patient"], steps=2)
def patient(ctx: Context) -> str:
    number = ctx.step("Counting", count)
    ctx.step("Waiting", wait)
    return f"First, with {number}."


def count() -> int:
    with (HERE / "counts").open("a") as counts:
        return counts.write(".")


def wait() -> None:
    (HERE / "waits").touch()
    while not (HERE / "goes on").exists():
        sleep(0.02)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Return a list; the demos in it are ended."""
    started: list[Demo] = []
    yield started
    for demo in started:
        for pid in demo.family():
            if is_alive(pid):
                demo.end()


def test_it_works_from_nothing_until_ctrl_c(checkout: Checkout, demos: list[Demo]) -> None:
    port = free_port()
    demo = checkout.demo(PORT=str(port))
    demos.append(demo)
    ready = demo.wait_until_ready()
    assert ready["url"] == f"http://127.0.0.1:{port}/ai-demo/chat/"
    secret = checkout.folder / ".env"
    files = [secret, *checkout.folder.glob("db.sqlite3*")]
    assert len(files) >= 2
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * len(files)
    with demo.client() as client:
        # The token is good, and there is a cluster that works.
        body = {"message": "Run a long demo with 1 step of 0 s", "async": True}
        sent = client.post("/ai-demo/chat/send", json=body)
        assert sent.status_code == 202
        with client.stream("GET", sent.json()["stream_url"]) as stream:
            assert '"status":"completed"' in [*stream.iter_lines()][-2]
        assert client.get("/readyz").status_code == 200
        # It knows its own documentation.
        asked = client.post("/ai-demo/chat/send", json={"message": "How do I set nginx for SSE?"})
        assert asked.json()["response"].startswith("Offline: no language model is connected.")
        assert "proxy_buffering off" in asked.json()["response"]
        source, *_ = [each for each in asked.json()["sources"] if "nginx" in each["title"]]
    with httpx.Client(base_url=demo.url, trust_env=False) as client:
        login = client.get("/accounts/login/")
        form = {"username": ready["user"], "password": ready["password"], "next": "/ai-demo/chat/"}
        form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
        answer = client.post("/accounts/login/", data=form)
        assert login.status_code == 200
        assert (answer.status_code, answer.headers["Location"]) == (302, "/ai-demo/chat/")
        assert client.get("/ai-demo/chat/").status_code == 200
        assert client.get("/static/chatflow/js/page/chat-page.js").status_code == 200
        anchor = source["url"].partition("#")[2]
        assert f'id="{anchor}"' in client.get(source["url"]).text
    with httpx.Client(base_url=demo.url, trust_env=False) as client:
        # The link signs in, once.
        assert client.get(demo.link()).headers["Location"] == "/ai-demo/chat/"
        assert client.get("/ai-demo/chat/").status_code == 200
        assert client.get(demo.link()).headers["Location"] == "/accounts/login/?link=dead"
    # make, bin/demo, the web server, the cluster and its workers.
    assert len(demo.family()) >= 6
    assert demo.stop() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(demo.url, trust_env=False)
    # A second start keeps the key; HOST and PORT may stand beside it.
    port, key = free_port(), secret.read_text()
    kept = key + f"HOST=localhost  # this machine\nPORT={port}  # a free one\n"
    secret.write_text(kept)
    again = checkout.demo()
    demos.append(again)
    ready = again.wait_until_ready()
    assert ready["url"] == f"http://localhost:{port}/ai-demo/chat/"
    assert secret.read_text() == kept
    assert "Wrote a new SECRET_KEY" not in again.log()
    assert ready["password"] == "unchanged"
    with again.client() as client:
        assert client.get("/ai-demo/workflow/jobs").status_code == 200
        # It takes the place of the first start's.
        assert len(client.get("/ai-demo/tokens").json()["tokens"]) == 1
    assert again.stop() == []
    secret.write_text(key)


def test_an_edit_is_live(checkout: Checkout, demos: list[Demo]) -> None:
    team = checkout.folder / "team"
    team.mkdir()
    (team / "__init__.py").touch()
    code = team / "workflows.py"
    code.write_text(TEAM)
    demo = checkout.demo(PORT=str(free_port()), EXTRA_APPS="team")
    demos.append(demo)
    demo.wait_until_ready()
    with demo.client() as client:
        patient = send(client, "patient")
        eventually((team / "waits").exists)
        code.write_text(TEAM.replace("First", "Second"))
        demo.wait_for(lambda: "The new code runs" in demo.log())
        assert finished(client, send(client, "hello"))["response"] == "Second."
        # The job under way has been given back, and goes on at the step where it was.
        (team / "goes on").touch()
        job = finished(client, patient)
        assert (job["response"], job["attempt"]) == ("Second, with 1.", 2)
        assert (team / "counts").read_text() == "."
        log = demo.log()
        assert re.search(rf"patient was given back after [\d.]+ s: {patient}\n", log)
        assert log.count(f"patient began: {patient}\n") == 2
        with closing(sqlite3.connect(checkout.folder / "db.sqlite3")) as database:
            lost = "SELECT lost FROM workflows_job WHERE public_id = ?"
            assert database.execute(lost, [patient]).fetchone() == (0,)
        # A run in the web server has its lines too.
        client.post("/ai-demo/chat/send", json={"message": "broken", "async": False})
        line = 1 + TEAM.splitlines().index('    raise ZeroDivisionError("Nothing is left.")')
        said = f"ZeroDivisionError: Nothing is left. at team/workflows.py:{line} {demo.url}/admin/"
        demo.wait_for(lambda: said in demo.log())
        # A mistake leaves the code at work that there was.
        code.write_text(TEAM.replace("def count()", "def count("))
        demo.wait_for(lambda: "SyntaxError: " in demo.log())
        assert "The new code can't be loaded; the old code runs on." in demo.log()
        assert 'File "team/workflows.py", line 27\n' in demo.log()
        assert finished(client, send(client, "hello"))["response"] == "Second."
        code.write_text(TEAM.replace("First", "Third"))
        demo.wait_for(lambda: demo.log().count("The new code runs") == 2)
        assert finished(client, send(client, "hello"))["response"] == "Third."
        # Its noise is left out.
        assert client.get("/static/chatflow/css/chat.css").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.get("/ai-demo/workflow/jobs").status_code == 200
        demo.wait_for(lambda: "/ai-demo/workflow/jobs" in demo.log())
        assert not re.search("/static/|/readyz|/healthz", demo.log())
    assert demo.stop() == []


def send(client: httpx.Client, message: str) -> str:
    """Send a message of a conversation of its own; return the job's id."""
    body = {"message": message, "session_id": message, "async": True}
    return str(client.post("/ai-demo/chat/send", json=body).json()["job_id"])


def finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        data: dict[str, Any] = client.get(f"/ai-demo/workflow/status/{job_id}").json()["data"]
        return data if data["state"] not in ("queued", "processing") else None

    return eventually(look) or {}


def test_a_taken_port_is_refused(checkout: Checkout, demos: list[Demo]) -> None:
    with closing(socket.create_server((HOST, 0))) as server:
        port = server.getsockname()[1]
        demo = checkout.demo(PORT=str(port))
        demos.append(demo)
        assert demo.wait() != 0
    assert f"bin/demo: port {port} on {HOST} is in use; choose another one" in demo.log()
    assert "Traceback" not in demo.log()


@pytest.mark.parametrize("port", ["0", "65536", "http", "80 81"])
def test_a_wrong_port_is_refused(checkout: Checkout, demos: list[Demo], port: str) -> None:
    demo = checkout.demo(PORT=port)
    demos.append(demo)
    assert demo.wait() != 0
    assert "PORT must be a number" in demo.log()


def test_nothing_is_left_when_a_part_dies(checkout: Checkout, demos: list[Demo]) -> None:
    demo = checkout.demo(PORT=str(free_port()))
    demos.append(demo)
    demo.wait_until_ready()
    family = demo.family()
    # Its workers have the same command line, but no group of their own.
    [cluster] = [pid for pid in family if b"qcluster" in cmdline(pid) and os.getpgid(pid) == pid]
    os.kill(cluster, signal.SIGKILL)
    assert demo.wait() != 0
    assert "the cluster ended by itself" in demo.log()
    eventually(lambda: not any(map(is_alive, family)))


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()

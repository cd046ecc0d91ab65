"""docs/install.md, word for word: Chatflow in a project with rules of its own, from its wheel."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.browser import new_context
from tests.acceptance.kinds import on_sqlite
from tests.acceptance.markdown import block, blocks
from tests.acceptance.own_project import (
    ALICE,
    INSTALL,
    OwnProject,
    build_wheel,
    make_environment,
    shown,
)
from tests.acceptance.processes import SECONDS, eventually, is_alive
from tests.acceptance.streams import Stream, read_stream
from tests.servers import Postgres

SEED = Path(__file__).parent / "seed.md"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new environment, with the package as the page installs it."""
    folder = tmp_path_factory.mktemp("own")
    python = make_environment(folder / "venv")
    wheel = build_wheel(folder)
    project = OwnProject("", python)
    install = shown("1. Install the package", "bash")
    assert install.strip() == "pip install django-chatflow"
    # What it depends on is there; the registry isn't asked.
    project.shell(
        install.replace(
            "pip install", "python -m pip install --quiet --no-deps --no-index"
        ).replace("django-chatflow", str(wheel))
    )
    project.stop()
    return python


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, python: Path, postgres: Postgres, kind: str
) -> Iterator[OwnProject]:
    url = "" if kind == "sqlite" else postgres.create_database("own_project")
    with OwnProject(url, python) as project:
        project.begin()
        project.follow()
        project.start_web()
        project.start_cluster()
        yield project


def test_no_snippet_is_left_out() -> None:
    assert [(each.heading, each.language) for each in blocks(INSTALL)] == [
        ("1. Install the package", "bash"),
        ("2. Name it in the settings", "python"),
        ("3. Include it in the addresses", "python"),
        ("4. Let it stream", "python"),
        ("5. Run it", "bash"),  # tables, a user, the checks
        ("5. Run it", "bash"),  # runserver
        ("5. Run it", "bash"),  # qcluster
        ("5. Run it", "bash"),  # a token
        ("5. Run it", "bash"),  # curl
        ("Your first workflow", "python"),
        ("On a server", "bash"),
        ("The database", "python"),  # SQLite
        ("The database", "python"),  # PostgreSQL
        # tests/host has these.
        ("In a database of its own", "python"),  # the setting
        ("In a database of its own", "python"),  # the router
        ("In a database of its own", "bash"),
        ("Your own authentication", "python"),  # the settings
        ("Your own authentication", "python"),  # the class
    ]


def test_it_is_the_package_that_runs(project: OwnProject) -> None:
    code = "import chatflow; print(chatflow.__file__)"
    home = Path(project.shell(f'python -c "{code}"').strip())
    assert home.is_relative_to(Path(project.python).parent.parent)


def curl(project: OwnProject, command: str) -> str:
    command = command.replace("http://127.0.0.1:8000", project.url)
    return project.shell(command.replace("YOUR_TOKEN", project.token(ALICE)))


def test_the_command_works(project: OwnProject) -> None:
    sent = json.loads(curl(project, shown("5. Run it", "bash", 4)))
    assert sent["stream_url"].startswith(f"{project.url}/team/assistant/workflow/stream/")
    assert sent["status_url"].startswith(f"{project.url}/team/assistant/workflow/status/")
    # While somebody listens, and no longer than that.
    with Stream(sent["stream_url"]) as stream:
        stream.until(status="processing")
    answer = project.api(ALICE).post(f"{project.base}/workflow/cancel/{sent['job_id']}")
    assert answer.status_code == 200


def test_the_seeds_document_holds_below_the_prefix(project: OwnProject) -> None:
    def snippet(heading: str) -> str:
        text = block(SEED, heading, "bash").replace("https://dash.test", "http://127.0.0.1:8000")
        return text.replace("/ai-demo/", "/team/assistant/")

    sent = json.loads(curl(project, snippet("Test Async Mode")))
    assert sent["status"] == "processing"
    follow = snippet("Test SSE Stream").replace("workflow_abc123", sent["job_id"])
    last = curl(project, follow).rstrip("\n").split("\n")[-1]
    streamed = json.loads(last.removeprefix("data: "))
    assert streamed["status"] == "completed"
    # And by polling, with the link alone.
    status = httpx.get(sent["status_url"], trust_env=False).json()["data"]
    assert status["status"] == "completed"
    assert status["response"] == streamed["response"]


def test_the_workflow_works(project: OwnProject) -> None:
    asked = project.run(ALICE, "count something", session_id="counting")
    assert asked["response"] == "What is to be counted?"
    told = project.run(ALICE, "sheep", session_id="counting")
    assert told["response"] == "There are 5 of sheep."


def test_the_teams_own_authentication_holds_everywhere(project: OwnProject) -> None:
    with httpx.Client(base_url=project.url, timeout=SECONDS, trust_env=False) as client:

        def call(badge: str | None) -> int:
            headers = {} if badge is None else {"X-Badge": badge}
            body = {"message": "be patient", "async": True}
            return client.post("/team/assistant/chat/send", json=body, headers=headers).status_code

        assert [call(None), call("B-2")] == [401, 401]
        client.headers["X-Badge"] = "B-1"
        sent = client.post(
            "/team/assistant/chat/send", json={"message": "be patient", "async": True}
        ).json()
        bare = sent["stream_url"].partition("?")[0]
        with client.stream("GET", bare) as stream:
            assert stream.status_code == 200
            frames = re.findall(r"^data: (.*)$", stream.read().decode(), re.M)
        assert json.loads(frames[-1])["response"] == f"Patient for {ALICE}."
        status = client.get(sent["status_url"].partition("?")[0])
        assert status.json()["data"]["state"] == "completed"
        del client.headers["X-Badge"]
        assert client.get(bare).status_code == 401


def test_a_killed_worker_loses_no_job(project: OwnProject) -> None:
    first, second = project.visits("first"), project.visits("second")
    project.close_gate("second")
    sent = project.send(ALICE, "be patient")
    with Stream(sent["stream_url"]) as stream:
        assert next(stream)["status"] == "connected"
        project.wait_at_gate("second", second + 1)
        worker = project.busy_worker(sent["job_id"])
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not is_alive(worker))
        project.wait_at_gate("second", second + 2)
        project.open_gate("second")
        frames = list(stream)
    assert [frame["id"] for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1]["response"] == f"Patient for {ALICE}."
    data = project.status(ALICE, sent["job_id"])
    assert (data["state"], data["attempt"]) == ("completed", 2)
    # The step that had finished did not run again.
    assert project.visits("first") == first + 1


@on_sqlite
def test_the_page_streams_under_runserver(project: OwnProject, browser: Browser) -> None:
    server = project.start_runserver()
    with new_context(browser) as context:
        page = context.new_page()
        page.goto(f"{server.url}/team/assistant/chat/")
        page.locator("[name=username]").fill(ALICE)
        page.locator("[name=password]").fill("alice")
        page.locator("[type=submit]").click()
        message = page.get_by_role("textbox", name="Message")
        message.fill("Run a long demo with 2 steps of 0 seconds")
        # Which can't be clicked before the page's scripts hear it, as Enter can be pressed.
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_role("log")).to_contain_text("Done: 2 steps")
    server.end()


@on_sqlite
def test_a_wsgi_host_is_polled(project: OwnProject) -> None:
    server = project.start_wsgi()
    client = project.client(ALICE, server.url)
    sent = client.post(f"{project.base}/chat/send", json={"message": "be patient", "async": True})
    job = sent.json()
    assert httpx.get(job["stream_url"], trust_env=False).status_code == 503

    def response() -> str | None:
        data = httpx.get(job["status_url"], trust_env=False).json()["data"]
        return data["response"] if data["status"] == "completed" else None

    assert eventually(response) == f"Patient for {ALICE}."
    # Its own web server has streamed all of it.
    link = job["stream_url"].replace(server.url, project.url)
    assert read_stream(link)[-1]["status"] == "completed"
    server.end()

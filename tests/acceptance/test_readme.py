"""What README.md and docs/write-a-workflow.md tell a newcomer to do, done word for word."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.checkout import Checkout, Demo
from tests.acceptance.conftest import MakeSite
from tests.acceptance.kinds import on_postgres
from tests.acceptance.markdown import block, blocks
from tests.acceptance.processes import ROOT, SECONDS, Site, eventually, is_alive
from tests.acceptance.streams import Stream
from tests.servers import free_port

README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "write-a-workflow.md"
TESTS = ROOT / "docs" / "test-a-workflow.md"
WALK = "Your first workflow"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        if demo.running:
            demo.end()


def finished(client: httpx.Client, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        data: dict[str, Any] = client.get(f"/ai-demo/workflow/status/{job_id}").json()["data"]
        return data if data["state"] not in ("queued", "processing") else None

    return eventually(look) or {}


def send(client: httpx.Client, message: str) -> dict[str, Any]:
    body = {"message": message, "session_id": "walk", "async": True}
    answer = client.post("/ai-demo/chat/send", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def test_the_first_two_commands_are_targets_of_make() -> None:
    commands = [line.partition("#")[0].split() for line in blocks(README)[0].code.splitlines()]
    assert commands == [["make", "demo"], ["make", "test"]]


def test_the_first_workflow(checkout: Checkout, demos: list[Demo]) -> None:
    python, (prepare, install) = block(README, WALK, "python"), commands_of_the_walk()
    # A lost worker's job goes on after so many seconds; the default would make this test slow.
    settings = {"PORT": str(free_port()), "WORKFLOW_LEASE_SECONDS": "1"}

    def make_demo() -> httpx.Client:
        demos.append(checkout.demo(**settings))
        demos[-1].wait_until_ready()
        return demos[-1].client()

    with make_demo() as client:
        checkout.shell(prepare)
        (checkout.folder / "team" / "workflows.py").write_text(python)
        checkout.shell(install)
        taken_up = re.compile(r"^Edited: \.env\b.*^The new code runs, ", re.MULTILINE | re.DOTALL)
        demos[-1].wait_for(lambda: taken_up.search(demos[-1].log()))
        asked = finished(client, send(client, "weekly report")["job_id"])
        assert asked["response"] == "Which team is the report for?"
        assert asked["awaiting"]["kind"] == "text"
        sent = send(client, "Support")
        with Stream(sent["stream_url"]) as stream:
            step = stream.until(type="step_started")
            assert step["message"] == "Processing step 1 of 2..."
        # In the middle of the ten seconds.
        family = demos[-1].family()
        for pid in family:
            if is_alive(pid) and b"qcluster" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 9)
        assert demos[-1].wait() != 0
        eventually(lambda: not any(map(is_alive, family)))
    with make_demo() as client:
        data = finished(client, sent["job_id"])
        assert data["attempt"] == 2
        assert data["response"] == "Support closed 49 tickets. Publish the report?"
        assert data["awaiting"]["kind"] == "confirm"
        done = finished(client, send(client, "yes")["job_id"])
        assert done["response"] == "Report 1049 for Support is published."
        # The examples for curl and the page, too.
        assert finished(client, send(client, "weekly report")["job_id"])["awaiting"]
        finished(client, send(client, "cancel")["job_id"])
    curl = block(README, "Try it", "bash")
    curl = curl.replace("http://127.0.0.1:8000", demos[-1].url)
    answer = checkout.shell(curl.replace("YOUR_TOKEN", demos[-1].token))
    assert re.search(r'"stream_url": ?"http', answer)
    assert demos[-1].stop() == []


def test_the_test_of_the_first_workflow(checkout: Checkout) -> None:
    """In the checkout of test_the_first_workflow, with the settings that its demo has made."""
    team = checkout.folder / "team"
    (team / "test_report.py").write_text(block(README, "Test it", "python"))
    (team / "pytest.ini").write_text(block(README, "Test it", "ini"))
    install, command = block(README, "Test it", "bash").strip().splitlines()
    assert install.startswith("make install-dev ")
    assert "1 passed" in checkout.shell(command)


def commands_of_the_walk() -> list[str]:
    return [each.code for each in blocks(README, "bash") if each.heading == WALK]


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


# The guide: each block is an app of its own.


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder with the guide's workflows, and the names of the apps in it."""
    folder, names = tmp_path_factory.mktemp("guide"), []
    for number, each in enumerate(blocks(GUIDE, "python")):
        if "@workflow(" in each.code:
            name = f"guide{number}"
            (folder / name).mkdir()
            (folder / name / "__init__.py").touch()
            (folder / name / "workflows.py").write_text(each.code)
            names.append(name)
    return folder, names


@pytest.fixture
def guide(make_site: MakeSite, apps: tuple[Path, list[str]], kind: str) -> Site:
    folder, names = apps
    site = make_site(kind, extra_apps=tuple(names), PYTHONPATH=str(folder))
    site.start_web()
    site.start_cluster()
    return site


@on_postgres
def test_the_guides_workflows(guide: Site, apps: tuple[Path, list[str]]) -> None:
    # Message, then what it is answered with; the second element of each pair is the response.
    talks = {
        "hello": [("hello there", "Hello alice.")],
        "convert": [("convert", "One euro is 1.08 USD.")],
        "book_room": [
            ("book a room", "Which room?"),
            ("2", "What is the meeting called?"),
            ("skip", "Book the room l for a meeting?"),
            ("make it small", "I can't change that yet: make it small"),
        ],
        "shortcuts": [("shortcuts", "What next?")],
        "order_lunch": [],
        "lunch": [("lunch", "What would you like?")],
        "refund": [
            ("refund please", "Refund the order?"),
            ('{"approved": true, "answer": {"amount": 20}}', "alice approved 20."),
        ],
        "receipts": [("read a receipt", "Send me a receipt, please.")],
        "gather": [("gather numbers", "Together 11.")],
    }
    code = "".join(each.code for each in blocks(GUIDE, "python"))
    assert set(re.findall(r'@workflow\(\s*"(\w+)"', code)) == set(talks)
    for name, turns in talks.items():
        for message, response in turns:
            data = guide.run("alice", message, session_id=name)
            assert (data["workflow"], data["response"]) == (name, response)
    actions = guide.run("alice", "shortcuts")["actions"]
    assert [action["label"] for action in actions] == ["All invoices", "New invoice"]
    order, menu = guide.run("alice", "lunch", session_id="order")["actions"]
    assert menu["label"] == "The menu"
    used = {"session_id": "order", "action_id": order["id"], "data": {"dish": "soup"}}
    answer = guide.api("alice").post("/ai-demo/chat/action", json=used).json()
    assert answer["response"] == "Table 4: soup."
    by_name = guide.run("alice", "Anything", workflow="hello")
    assert by_name["response"] == "Hello alice."


def test_the_guides_tests(apps: tuple[Path, list[str]], tmp_path: Path) -> None:
    """As in a team's own repository: nothing of this one's tests and their settings is there."""
    folder, names = apps
    team = tmp_path / "team"
    team.mkdir()
    workflow, *tests = [each.code for each in blocks(TESTS, "python")]
    files = {
        "__init__.py": "",
        "workflows.py": workflow,
        "pytest.ini": block(TESTS, "Set it up", "ini"),
        "refund.json": block(TESTS, "Replay a job", "json"),
        "test_hello.py": block(GUIDE, "Test it", "python"),
        **{f"test_{number}.py": code for number, code in enumerate(tests)},
    }
    for name, text in files.items():
        (team / name).write_text(text)
    command = block(TESTS, "Set it up", "bash").split()
    assert command == [".venv/bin/python", "-m", "pytest", "team"]
    done = subprocess.run(
        [sys.executable, *command[1:], "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only-for-the-tests",
            "EXTRA_APPS": ",".join([*names, "team"]),
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = sum(text.count("def test_") for text in files.values())
    assert f"{written} passed" in done.stdout

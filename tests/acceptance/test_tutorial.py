"""docs/tutorial, done in a team's own folder: its files, its commands, its talks and its tests."""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.acceptance.markdown import block, blocks
from tests.acceptance.processes import ROOT, SECONDS

PAGES = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
FIRST, DOCUMENTS, LAST = PAGES[0], PAGES[3], PAGES[-1]
# The first line of a file's block.
FILE = re.compile(r"# (desk/\w+\.py)\n")
MANAGE = ".venv/bin/python manage.py "

# A talk of the pages, as the kit has it: every job's answer.
TEST_TALKS = """
import json
from pathlib import Path

import pytest

TALKS = json.loads(Path(__file__).with_name("talks.json").read_text())


@pytest.mark.parametrize("talk", TALKS)
def test_a_talk(run, monkeypatch, talk):
    monkeypatch.setattr("desk.workflows.sleep", lambda seconds: None)
    said = [words for who, words in talk if who == "you"]
    turn = run(None, said[0], answers=said[1:])
    assert [job.response or job.error for job in turn.jobs] == [
        words for who, words in talk if who == "desk"
    ]
"""


def files() -> dict[str, str]:
    """Return what the pages write into each file, one block behind the other."""
    texts: dict[str, str] = defaultdict(str)
    for page in PAGES:
        for each in blocks(page, "python"):
            match = FILE.match(each.code)
            assert match, f"{page.name}: a block has no file:\n{each.code}"
            texts[match[1]] += f"{each.code}\n\n"
    return texts


def talks() -> list[list[tuple[str, str]]]:
    found = [
        re.findall(r"^(you|desk): (.+)$", each.code, re.M)
        for page in PAGES
        for each in blocks(page, "text")
    ]
    assert min(map(len, found)) > 1
    return found


def commands() -> list[str]:
    """Return the commands of manage.py that the pages tell to run."""
    lines = [
        line for page in PAGES for each in blocks(page, "bash") for line in each.code.split("\n")
    ]
    return [line.removeprefix(MANAGE) for line in lines if line.startswith(MANAGE)]


class Project:
    """A folder with the app, and Chatflow beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        desk = folder / "desk"
        desk.mkdir()
        (desk / "__init__.py").touch()
        for name, text in files().items():
            (folder / name).write_text(text)
        (desk / "pytest.ini").write_text(block(FIRST, "A test", "ini"))
        (desk / "manual.md").write_text(block(DOCUMENTS, "Documents", "markdown"))
        self.env = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only-for-the-tests",
            "EXTRA_APPS": "desk",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        }

    def python(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def manage(self, command: str) -> str:
        return self.python(str(ROOT / "manage.py"), *command.split())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("tutorial"))
    for command in commands():
        project.manage(command)
    return project


def test_the_commands() -> None:
    assert commands() == ["makemigrations desk", "migrate", "ingest desk/manual.md"]


def test_the_talks_and_tests(project: Project) -> None:
    desk = project.folder / "desk"
    (desk / "talks.json").write_text(json.dumps(talks()))
    (desk / "test_talks.py").write_text(TEST_TALKS)
    [command] = {
        line
        for page in PAGES
        for each in blocks(page, "bash")
        for line in each.code.splitlines()
        if " -m pytest" in line
    }
    said = project.python(*command.split()[1:], "-p", "no:cacheprovider")
    [passed] = map(int, re.findall(r"\b(\d+) passed in", said))
    assert passed >= "".join(files().values()).count("def test_") + len(talks())


def test_what_the_operator_sees(project: Project) -> None:
    shown = block(LAST, "For whoever looks after it", "console")
    for part in shown.split("$ manage.py ")[1:]:
        command, _, output = part.partition("\n")
        assert project.manage(command).strip() == output.strip()

"""Seeing edits, of which the kernel tells."""

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from chatflow.development import edits as module
from chatflow.development.edits import Edits, find_folders

# Its name comes last, so that a late word of it hides no other file's.
PROBE = "zzz.py"
# Seconds after which an edit will never be heard.
NET = 30.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for folder in ("team", "templates/team", ".git", ".venv", "env", "node_modules", "team/tests"):
        (project / folder).mkdir(parents=True)
    (project / "env/pyvenv.cfg").touch()
    # Long ago, as who looks for edits compares the seconds.
    (project / "team/workflows.py").touch()
    os.utime(project / "team/workflows.py", (0, 0))
    return project


@pytest.fixture
def edits(
    project: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Edits]:
    """Return what watches the project already; "polling" where the kernel tells nobody more."""
    if hasattr(request, "param"):
        monkeypatch.setattr(watchfiles, "watch", watch_by_polling)
    edits = Edits(project, project / ".env")
    edits.start()
    edit_until_heard(edits, project / PROBE)
    yield edits
    edits.close()


def watch_by_polling(*paths: Path, **options: Any) -> Any:
    if not options["force_polling"]:
        raise RuntimeError("Error creating recommended watcher: Too many open files (os error 24)")
    return watchfiles.main.watch(*paths, **options)


def edit_until_heard(edits: Edits, path: Path) -> None:
    until = time.monotonic() + NET
    while not is_heard(edits):
        assert time.monotonic() < until
        path.write_text("edited")
    while is_heard(edits):
        edits.read()


def next_edit(edits: Edits) -> str:
    """Return the file of the next edit, but for the probe's."""
    while True:
        assert is_heard(edits, NET)
        for said in edits.read().split(", "):
            file = said.partition(" and ")[0]
            if file != PROBE:
                return file


def is_heard(edits: Edits, seconds: float = 0.2) -> bool:
    return bool(select.select([edits], [], [], seconds)[0])


def test_it_works(edits: Edits, project: Path) -> None:
    (project / "team/workflows.py").write_text("edited")

    assert next_edit(edits) == "team/workflows.py"


@pytest.mark.parametrize("edits", ["polling"], indirect=True)
def test_where_the_kernel_tells_nothing(edits: Edits, project: Path) -> None:
    (project / "team/workflows.py").write_text("edited")

    assert next_edit(edits) == "team/workflows.py"


def test_edits_that_nobody_has_looked_for_meanwhile(project: Path) -> None:
    """They are one: the code is as the last of them left it."""
    edits = Edits(project, project / ".env")
    for name in ("views", "models", "views"):
        edits._tell([project / f"team/{name}.py"])
    assert edits.read() == "team/views.py, team/models.py"
    assert not is_heard(edits, 0)
    edits.close()


def test_a_mistake_in_the_syntax(edits: Edits, project: Path) -> None:
    (project / "team/workflows.py").write_text("def f():\n    return (\n")

    assert next_edit(edits) == "team/workflows.py"
    *_, last = edits.mistake.splitlines()
    assert f'File "{project}/team/workflows.py", line 2' in edits.mistake
    assert last == "SyntaxError: '(' was never closed"


def test_an_editor_that_replaces_the_file(edits: Edits, project: Path) -> None:
    (project / "team/.workflows.py.swp").write_text("edited")
    (project / "team/.workflows.py.swp").rename(project / "team/workflows.py")

    assert next_edit(edits) == "team/workflows.py"


def test_a_new_app_is_watched(edits: Edits, project: Path) -> None:
    (project.parent / "other/inner").mkdir(parents=True)
    (project.parent / "other/inner/models.py").touch()
    (project.parent / "other").rename(project / "other")

    assert next_edit(edits) == "other/inner/models.py"
    edit_until_heard(edits, project / "other/inner/models.py")


def test_a_deleted_module(edits: Edits, project: Path) -> None:
    (project / "team/workflows.py").unlink()

    assert next_edit(edits) == "team/workflows.py"


def test_the_settings(edits: Edits, project: Path) -> None:
    (project / ".env").write_text("EXTRA_APPS=team")

    assert next_edit(edits) == ".env"


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("team/workflows.py", True),
        ("templates/team/page.html", True),
        (".env", True),
        ("team/.env", False),
        ("team/test_workflows.py", False),
        ("team/.#workflows.py", False),
        ("team/workflows.py~", False),
        ("db.sqlite3-wal", False),
        ("static/page.css", False),
    ],
)
def test_what_matters(project: Path, name: str, matters: bool) -> None:
    edits = Edits(project, project / ".env")

    assert edits.matters(project / name) is matters
    edits.close()


def test_only_the_projects_own_folders_are_watched(project: Path) -> None:
    found = {str(each.relative_to(project)) for each in find_folders(project)}

    assert found == {".", "team", "templates", "templates/team"}


def test_it_says_once_that_the_kernel_tells_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often even the looking fails, as where no more files can be opened."""
    failed = threading.Semaphore(0)

    def fail(*paths: Path, **options: Any) -> Any:
        failed.release()
        raise OSError("Too many open files")

    monkeypatch.setattr(watchfiles, "watch", fail)
    monkeypatch.setattr(module, "RETRY", 0)
    edits = Edits(project, project / ".env")
    edits.start()
    for _ in range(3):
        assert failed.acquire(timeout=NET)
    edits.close()

    assert capsys.readouterr().out.count("Too many open files") == 1

"""What manage.py, runserver and the web server say where an author's mistake stops the start."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import SystemCheckError

from chatflow.environment import WrongSetting
from chatflow.startup import describe, tell_in_threads
from chatflow.workflows import registry
from chatflow.workflows.exceptions import WrongWorkflow

pytestmark = pytest.mark.sqlite

ROOT = Path(__file__).resolve().parents[2]
WRONG = WrongWorkflow("The workflow 'x' is odd: write it again.", "team/workflows.py", 7)


@pytest.mark.parametrize("error", [WRONG, WrongSetting("PORT"), SystemCheckError("ERRORS:")])
def test_it_works(error: Exception) -> None:
    assert describe(error) == str(error)


def test_other_errors_keep_their_tracebacks() -> None:
    assert describe(None) is None
    assert describe(KeyError("x")) is None


def discover(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> BaseException:
    """Return what is raised where an app's workflows.py has this code."""
    (folder / "workflows.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder.parent))

    def autodiscover(name: str) -> None:
        __import__(f"{folder.name}.{name}")

    monkeypatch.setattr(registry, "autodiscover_modules", autodiscover)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        registry.discover()
    return caught.value


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "team_of_mistakes"
    folder.mkdir()
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_a_module_that_cannot_be_imported(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = describe(discover("import os\nimport reqests\n", team, monkeypatch))
    assert told is not None
    head, *lines, last = told.splitlines()

    assert head == "The workflows of an app can't be imported."
    assert [line for line in lines if "File" in line and "test_startup" not in line] == [
        f'  File "{team / "workflows.py"}", line 2, in <module>'
    ]
    assert last == "ModuleNotFoundError: No module named 'reqests'"


def test_a_syntax_error(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = describe(discover("def greet(:\n", team, monkeypatch))
    assert told is not None
    assert f'  File "{team / "workflows.py"}", line 1\n    def greet(:\n' in told
    assert told.splitlines()[-1] == "SyntaxError: invalid syntax"


class Ended(Exception):
    pass


@pytest.mark.parametrize(("error", "is_told"), [(WRONG, True), (Ended("x"), False)])
def test_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    is_told: bool,
) -> None:
    others: list[type[BaseException]] = []

    def hook(args: Any) -> None:
        others.append(args.exc_type)

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(threading, "__excepthook__", hook)
    tell_in_threads("manage.py")

    threading.excepthook(threading.ExceptHookArgs((type(error), error, None, None)))

    assert capsys.readouterr().err == (f"manage.py: {WRONG}\n" if is_told else "")
    assert others == ([] if is_told else [Ended])


@pytest.mark.parametrize("command", [["manage.py", "check"], ["-c", "import chatflow.asgi"]])
def test_a_process_that_starts(team: Path, command: list[str]) -> None:
    (team / "workflows.py").write_text(
        'from chatflow.workflows import workflow\n\n\n@workflow("w", hint="lang")\n'
        "def work(ctx):\n    return 'done'\n"
    )
    started = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "EXTRA_APPS": team.name, "PYTHONPATH": str(team.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    program = "manage.py" if "check" in command else "chatflow"
    place = f"{team / 'workflows.py'}:4"
    assert (started.returncode, started.stdout) == (1, "")
    assert started.stderr == (
        f"{program}: {place}: The workflow 'w' has hint='lang': write hint='long'.\n"
    )

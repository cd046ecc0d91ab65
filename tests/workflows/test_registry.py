"""The workflows that there are."""

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from chatflow.workflows import Context, registry, workflow
from chatflow.workflows.exceptions import UnknownWorkflow, WrongWorkflow
from chatflow.workflows.registry import all_workflows, get_workflow
from tests.configure import configure

ROOT = Path(__file__).resolve().parents[2]


def greet(ctx: Context) -> str:
    """Say hello.

    And no more.
    """
    return "hello"


def test_it_works() -> None:
    assert workflow("greet_people")(greet) is greet
    found = get_workflow("greet_people")

    assert found.function is greet
    assert (found.title, found.description) == ("Greet people", "Say hello.")
    assert (found.triggers, found.steps) == ((), None)
    assert (found.tries, found.backoff, found.retry_until) == (1, (0,), None)
    assert (found.queue, found.priority, found.unique_key, found.hint) == ("default", 0, None, None)
    assert found in all_workflows()


def test_the_settings_give_the_limits(settings: Any) -> None:
    configure(settings, WORKFLOW_MAX_EXECUTION_TIME=7.5)
    configure(settings, WORKFLOW_MAX_AI_CALLS=3)
    workflow("default")(greet)
    workflow("own", max_execution_time=1, max_ai_calls=0)(greet)

    assert get_workflow("default").max_execution_time == 7.5
    assert get_workflow("default").max_ai_calls == 3
    assert get_workflow("own").max_execution_time == 1
    assert get_workflow("own").max_ai_calls == 0


def test_what_is_given() -> None:
    workflow(
        "w",
        title="T",
        description="D",
        triggers=["Say Hello"],
        backoff=[1, 2.5],
        queue="q",
        priority=-3,
        hint="long",
    )(greet)
    found = get_workflow("w")

    assert (found.title, found.description, found.triggers) == ("T", "D", ("say hello",))
    assert (found.backoff, found.queue, found.priority, found.hint) == ((1, 2.5), "q", -3, "long")


def test_a_function_without_docstring() -> None:
    workflow("w")(lambda ctx: "hello")

    assert get_workflow("w").description == ""


def test_one_name_for_two_workflows() -> None:
    def another(ctx: Context) -> str:
        return "bye"

    workflow("w")(greet)
    with pytest.raises(ImproperlyConfigured, match="Two workflows are called 'w'"):
        workflow("w")(another)

    assert get_workflow("w").function is greet


def test_a_module_may_be_imported_twice() -> None:
    """As runserver's reloader does: the same function again is no conflict."""
    workflow("w")(greet)
    workflow("w", title="Again")(greet)

    assert get_workflow("w").title == "Again"


class Module:
    """A workflows.py, which may be imported, edited and imported again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, *codes: str) -> None:
        """Import it as new, with this code."""
        self.path.write_text("\n".join(["from chatflow.workflows import workflow", *codes]))
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def make(name: str = "w", function: str = "work") -> str:
    """Return the code of a workflow, in three lines."""
    return f"@workflow({name!r})\ndef {function}(ctx):\n    return 'done'"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    # Its code is newer than a second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Module(tmp_path / "workflows.py")


def test_functions_of_one_name_in_two_modules(module: Module, tmp_path: Path) -> None:
    module.load(make())
    function = get_workflow("w").function
    other = Module(tmp_path / "others.py")
    with pytest.raises(WrongWorkflow) as caught:
        other.load("", make())

    assert str(caught.value) == (
        f"{other.path}:3: Two workflows are called 'w': give this one or that of {module.path}:2 "
        "another name."
    )
    assert get_workflow("w").function is function


def test_functions_of_one_name_in_one_module(module: Module) -> None:
    with pytest.raises(WrongWorkflow) as caught:
        module.load(make(), make())

    assert str(caught.value) == (
        f"{module.path}:5: Two workflows are called 'w': give this one or that of {module.path}:2 "
        "another name."
    )


def test_a_module_that_was_edited(module: Module) -> None:
    module.load(make(), make("x", "other"))
    module.load(make("x", "other"), "", make())

    assert get_workflow("w").place == f"{module.path}:6"


def test_callables_that_are_no_functions() -> None:
    for _ in range(2):
        workflow("part")(functools.partial(greet))
        workflow("built_in")(len)
    with pytest.raises(WrongWorkflow, match="Two workflows are called 'built_in'"):
        workflow("built_in")(repr)


def test_an_unknown_workflow() -> None:
    with pytest.raises(UnknownWorkflow, match="There is no workflow called 'nope'"):
        get_workflow("nope")


def test_they_are_listed_by_name() -> None:
    for name in ("zebra", "ape"):
        workflow(name)(greet)
    names = [found.name for found in all_workflows()]

    assert names == sorted(names)
    assert {"ape", "zebra", "chat", "demo_long", "create_invoice"} <= set(names)


def test_an_app_of_ones_own_is_found() -> None:
    """By EXTRA_APPS alone: one file, and no line of Chatflow's."""
    script = (
        "import django; django.setup();"
        "from chatflow.workflows.registry import get_workflow;"
        "print(get_workflow('greet_warmly').function.__module__)"
    )
    app = "tests.workflows.apps.greetings"
    environment = os.environ | {"EXTRA_APPS": app, "DJANGO_SETTINGS_MODULE": "chatflow.settings"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, f"{app}.workflows\n"), done.stderr


def test_a_workflows_module_that_breaks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app with a broken module must not be left out in silence."""

    def fail(name: str) -> None:
        raise SyntaxError("in workflows.py")

    monkeypatch.setattr("django.utils.module_loading.import_module", fail)
    with pytest.raises(SyntaxError):
        registry.discover()

"""The pytest plugin: ``pytest_plugins = ["chatflow.workflows.testing.plugin"]`` in the top
conftest.py, or ``-p chatflow.workflows.testing.plugin``. It needs pytest-django.

What needs Django is imported inside of the fixtures: pytest loads plugins before its settings.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chatflow.workflows.testing.turns import Turn


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let whoever runs workflows reach their database too: pytest-django opens the default one."""
    if {"run", "replay"}.isdisjoint(getattr(item, "fixturenames", ())):
        return
    from django.db import connections

    from chatflow.workflows.db import alias

    mark = item.get_closest_marker("django_db") or pytest.mark.django_db.mark
    if alias() == "default" or len(mark.args) > 2 or mark.kwargs.get("databases"):
        return
    # A project whose databases all have names leaves the default one empty.
    is_empty = connections.settings["default"]["ENGINE"] == "django.db.backends.dummy"
    databases = [alias()] if is_empty else ["default", alias()]
    options = {**mark.kwargs, "databases": databases}
    item.add_marker(pytest.mark.django_db(*mark.args, **options), append=False)


@pytest.fixture
def run(db: None) -> "Callable[..., Turn]":
    """Run a workflow in the test database; see chatflow.workflows.testing.run()."""
    from chatflow.workflows.testing.runs import run

    return run


@pytest.fixture
def replay(db: None, request: pytest.FixtureRequest) -> "Callable[..., Turn]":
    """Replay a recorded job against today's code; see chatflow.workflows.testing.replay().

    A path is looked for beside the test's own file.
    """
    return partial(_replay, request.path.parent)


def _replay(folder: Path, case: "str | Path", **options: Any) -> "Turn":
    __tracebackhide__ = True
    from chatflow.workflows.testing.replays import replay

    return replay(folder / case, **options)


@pytest.fixture(autouse=True)
def _right_clock() -> Iterator[None]:
    """Put the clock right after a test that has moved it by freeze() or advance()."""
    yield
    from chatflow.workflows.testing import time_travel

    time_travel.put_right()

"""A pytest plugin: the environment of every test run, set before Django reads its settings."""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

# Named as tests.servers does it, which removes the folders of killed runs.
FOLDER = Path(tempfile.mkdtemp(prefix=f"chatflow-{os.getpid()}-tests-"))

# A developer's .env stays out. DATABASE_URL is the one thing that a caller chooses.
os.environ["ENV_FILE"] = os.devnull
os.environ["SECRET_KEY"] = "only-for-the-tests"
os.environ["METRICS_DIR"] = str(FOLDER / "metrics")
os.environ.setdefault("DATABASE_URL", f"sqlite:///{FOLDER / 'db.sqlite3'}")


def pytest_configure() -> None:
    from django.conf import settings

    # Hashes that cost nothing.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # A file of this run alone: other processes can open it, and runs side by side do not meet.
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database.setdefault("TEST", {})["NAME"] = str(FOLDER / "test.sqlite3")


# What speaks to the services and the store alone, which have tests of their own on each database:
# this checkout's invoices, the HTTP edge, the testing kit, models, and runs of workflows.
ON_SQLITE = (
    *("tests/chatflow/", "tests/invoicing/"),
    *(f"tests/workflows/{room}/" for room in ("ai", "running", "testing")),
)
# But of these on each: rooms that have rows of their own or follow the log, what a database refuses
# or is asked by statements of the edge's own, and what writes while a database is away.
ON_EACH = (
    *(f"tests/chatflow/{room}/" for room in ("access", "operations", "streams")),
    *(f"tests/chatflow/{name}.py" for name in ("test_auth", "test_refused_values")),
    "tests/chatflow/endpoints/test_tokens.py",
    *(
        f"tests/workflows/running/test_{name}.py"
        for name in (
            *("event_writer", "lanes", "memory", "record"),
            *("runner", "shared_pen", "watchdog"),
        )
    ),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        # pytest-django lets them reach none: they would only say again what they say on SQLite.
        once = [item for item in items if not asks_for_a_database(item)]
        config.hook.pytest_deselected(items=once)
        items[:] = [item for item in items if item not in once]
    for item in items:
        for vendor in ("sqlite", "postgresql"):
            if vendor != connection.vendor and item.get_closest_marker(vendor):
                item.add_marker(pytest.mark.skip(f"only on {vendor}"))


def asks_for_a_database(item: pytest.Item) -> bool:
    """Say whether the test may use one that needn't be SQLite, or is marked as being about one."""
    if any(map(item.get_closest_marker, ("postgresql", "databases"))):
        return True
    if item.nodeid.startswith(ON_SQLITE) and not item.nodeid.startswith(ON_EACH):
        return False
    if item.get_closest_marker("django_db"):
        return True
    return not {"db", "transactional_db"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test has logged pass from one process to the other: some log half a surrogate."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


def pytest_unconfigure() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from chatflow.workflows.bells import Bell, Subscription, get_bell, sqlite
from chatflow.workflows.bells.sqlite import (
    SQLiteBell,
    SQLiteSubscription,
    closing_database,
    data_version,
)
from tests.workflows.bells.contract import NET, BellContract, Heard

pytestmark = pytest.mark.sqlite


class TestSQLiteBell(BellContract):
    # One rings for all: the commit of any transaction does.
    keyed = False

    @pytest.fixture
    def bell(self) -> Bell:
        return get_bell()

    @pytest.fixture(autouse=True)
    def _breakable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken: list[Exception] = []
        real = data_version

        def flaky(database: object) -> int:
            if self.broken:
                raise self.broken.pop()
            return real(database)  # type: ignore[arg-type]

        monkeypatch.setattr(sqlite, "data_version", flaky)

    def break_listening(self, subscription: Subscription) -> None:
        self.broken.append(OSError("disk I/O error"))
        # It looks, and breaks.
        Group.objects.create(name=f"broken {Group.objects.count()}")

    def test_it_is_the_bell_of_this_database(self) -> None:
        assert isinstance(get_bell(), SQLiteBell)

    def test_a_rollback_changes_nothing_that_is_looked_at(self) -> None:
        with closing_database(Path(connection.settings_dict["NAME"])) as database:
            version = data_version(database)
            with transaction.atomic():
                Group.objects.create(name="g")
                transaction.set_rollback(True)
            assert data_version(database) == version
            Group.objects.create(name="g")
            assert data_version(database) != version


class TestSQLiteBellWithoutInotify(TestSQLiteBell):
    """As on macOS: it looks a hundred times a second."""

    @pytest.fixture(autouse=True)
    def _without_inotify(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextmanager
        def nothing(path: Path) -> Iterator[None]:
            yield None

        monkeypatch.setattr(sqlite, "log_touches", nothing)


def copy_database(path: Path) -> None:
    with closing_database(Path(connection.settings_dict["NAME"])) as database:
        database.execute("VACUUM INTO ?", [str(path)])
    with closing_database(path) as database:
        database.execute("PRAGMA journal_mode=WAL")


def commit_to(path: Path) -> None:
    with closing_database(path) as database:
        database.execute("INSERT INTO auth_group (name) VALUES (hex(randomblob(8)))")


@pytest.fixture
def listen_to() -> Iterator[Callable[[Path], Heard]]:
    """Return what listens to the database at a path."""
    made: list[Subscription] = []

    def listen(path: Path) -> Heard:
        heard = Heard()
        made.append(SQLiteSubscription(("events",), heard, path))
        made[-1].start()
        assert made[-1].ready.wait(NET)
        heard.forget()
        return heard

    yield listen
    for subscription in made:
        subscription.close()


Listen = Callable[[Path], Heard]


@pytest.mark.django_db
@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_a_link_to_a_file_of_another_name(
    tmp_path: Path, listen_to: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite keeps its log beside that file, under its name; the look by itself doesn't help."""
    monkeypatch.setattr(sqlite, "CHECK", NET)
    (tmp_path / "volume").mkdir()
    copy_database(file := tmp_path / "volume" / "production.db")
    (link := tmp_path / "db.sqlite3").symlink_to(file)
    heard = listen_to(link)
    began = time.monotonic()
    commit_to(link)

    heard.until("events", None)
    assert time.monotonic() - began < NET / 2


@pytest.mark.django_db
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_is_replaced(
    tmp_path: Path, listen_to: Listen, caplog: pytest.LogCaptureFixture, linked: bool
) -> None:
    copy_database(first := tmp_path / "first")
    copy_database(second := tmp_path / "second")
    path = tmp_path / "db.sqlite3"
    if linked:
        path.symlink_to(first)
    else:
        os.replace(first, path)
    heard = listen_to(path)
    if linked:
        (other := tmp_path / "link").symlink_to(second)
        os.replace(other, path)
    else:
        os.replace(second, path)

    # It is told to look at everything, and hears what is rung from then on.
    heard.until("events", None)
    heard.forget()
    commit_to(path)
    heard.until("events", None)
    assert "was replaced" in caplog.text


def test_inotify_is_used_on_linux(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    with sqlite.log_touches(path) as touches:
        assert touches is not None
        (tmp_path / "other").write_text("x")
        assert not sqlite.touches_log(touches, path)
        (tmp_path / "db.sqlite3-wal").write_text("x")
        assert sqlite.touches_log(touches, path)
        assert not sqlite.touches_log(touches, path)


def test_no_inotify_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with sqlite.log_touches(tmp_path / "db.sqlite3") as touches:
        assert touches is None

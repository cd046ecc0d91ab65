import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from tests.workflows.bells.contract import BellContract
from workflows.bells import Bell, Subscription, get_bell, sqlite
from workflows.bells.sqlite import SQLiteBell, closing_database, data_version

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

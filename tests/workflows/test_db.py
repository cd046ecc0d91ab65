"""The connection to the database that routers lead Chatflow's tables to."""

from typing import Any

import pytest
from django import db as django_db
from django.db import connections

from chatflow.workflows import db


class ChatRouter:
    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        return "chat" if model._meta.app_label.startswith("chatflow") else None


def test_it_is_the_default_one() -> None:
    assert db.alias() == db.connection.alias == "default"
    assert db.connection == connections["default"]
    assert db.atomic().using == "default"
    assert db.migrating() == "manage.py migrate"


def test_it_goes_by_the_routers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "chat", connections.settings["default"])
    settings.DATABASE_ROUTERS = [ChatRouter()]
    assert db.alias() == db.connection.alias == "chat"
    assert db.atomic().using == "chat"
    assert db.atomic("default").using == "default"
    assert db.migrating() == "manage.py migrate --database=chat"
    assert django_db.connection.alias == "default"

    view = db.non_atomic_requests(lambda request: None)
    assert view._non_atomic_requests == {"default", "chat"}  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_a_transaction() -> None:
    called: list[str] = []
    with db.atomic():
        assert len(db.connection.savepoint_ids) == 1
        db.on_commit(lambda: called.append("undone"))
        db.set_rollback(True)
        assert db.connection.needs_rollback
    assert called == []

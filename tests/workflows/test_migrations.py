"""Migrations of an installation that goes on working meanwhile."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from chatflow.workflows.migrations._indexes import AddIndex
from chatflow.workflows.models import Job, Session

BEFORE = [("chatflow_workflows", "0012_turn")]
BEFORE_TENANTS = [("chatflow_workflows", "0015_tenant")]
TENANTS = [("chatflow_workflows", "0016_tenant_indexes")]


def test_indexes_of_tables_in_use_are_built_while_others_write() -> None:
    loader = MigrationLoader(None)
    # The earlier ones were released as they are.
    for name in (name for app, name in loader.disk_migrations if app == "chatflow_workflows"):
        if name < "0009":
            continue
        migration = loader.disk_migrations["chatflow_workflows", name]
        created = {
            each.name_lower
            for each in migration.operations
            if isinstance(each, migrations.CreateModel)
        }
        for each in migration.operations:
            if isinstance(each, migrations.AddIndex) and each.model_name_lower not in created:
                assert isinstance(each, AddIndex), name
                assert not migration.atomic, name


@pytest.mark.django_db(transaction=True)
def test_the_indexes_of_sessions_are_built_again_after_a_broken_build() -> None:
    names = [index.name for index in Session._meta.indexes]
    try:
        MigrationExecutor(connection).migrate(BEFORE)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("CREATE INDEX session_list ON workflows_session (id)")
        with CaptureQueriesContext(connection) as queries:
            executor = MigrationExecutor(connection)
            executor.migrate([("chatflow_workflows", "0013_session_indexes")])
    finally:
        call_command("migrate", verbosity=0)
    built = [each["sql"] for each in queries if each["sql"].startswith("CREATE INDEX")]
    assert len(built) == 2
    if connection.vendor == "postgresql":
        assert all("CONCURRENTLY" in sql for sql in built)
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Session._meta.db_table)
    assert set(names) <= found.keys()
    assert found["session_list"]["columns"][0] == "user_id"


FORMER_NAMES = ("user_key", "user_idempotency_key", "active_per_unique_key")


class BrokenOffError(Exception):
    pass


@pytest.fixture
def before_tenants(alice: User) -> Iterator[MigrationExecutor]:
    """The database as it was, in which Alice has a conversation."""
    Session.objects.create(user=alice, key="kept")
    MigrationExecutor(connection).migrate(BEFORE_TENANTS)
    try:
        yield MigrationExecutor(connection)
    finally:
        call_command("migrate", verbosity=0)


def break_off(executor: MigrationExecutor, after: migrations.operations.base.Operation) -> None:
    """Run the migration up to and with this operation."""
    run = after.database_forwards

    def run_last(*args: Any) -> None:
        run(*args)
        raise BrokenOffError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(after, "database_forwards", run_last)
        with pytest.raises(BrokenOffError):
            executor.migrate(TENANTS)


@pytest.mark.django_db(transaction=True)
def test_the_indexes_of_tenants_are_built_again_wherever_it_broke_off(
    before_tenants: MigrationExecutor,
) -> None:
    first, *_ = operations = before_tenants.loader.get_migration(*TENANTS[0]).operations
    # Between an index and the one that replaces it; and before the migration was noted.
    removal = next(each for each in operations if isinstance(each, migrations.RemoveIndex))
    for operation in (first, removal, operations[-1]):
        break_off(before_tenants, after=operation)
    before_tenants.migrate(TENANTS)
    then = before_tenants.loader.project_state(TENANTS).apps
    for model in (Session, Job):
        meta = then.get_model(model._meta.label)._meta
        names = {each.name for each in (*meta.indexes, *meta.constraints)}
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        assert names <= found.keys()
        assert not {name for name in found if name.endswith(FORMER_NAMES)}
    assert Session.objects.get().key == "kept"


@pytest.mark.django_db(transaction=True)
def test_a_table_that_sqlite_copies_is_never_missing(
    before_tenants: MigrationExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may write while it's copied, or the process be killed before the copy has its name."""
    in_one: list[bool] = []
    rename = connection.SchemaEditorClass.alter_db_table

    def rename_or_break_off(*args: Any) -> None:
        in_one.append(connection.in_atomic_block)
        if len(in_one) == 1:
            raise BrokenOffError
        rename(*args)

    monkeypatch.setattr(connection.SchemaEditorClass, "alter_db_table", rename_or_break_off)
    with suppress(BrokenOffError):
        before_tenants.migrate(TENANTS)
    assert Session.objects.get().key == "kept"
    MigrationExecutor(connection).migrate(TENANTS)
    MigrationExecutor(connection).migrate(BEFORE_TENANTS)
    assert in_one == [True] * (5 if connection.vendor == "sqlite" else 0)

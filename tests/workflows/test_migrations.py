"""Migrations of an installation that goes on working meanwhile."""

import pytest
from django.core.management import call_command
from django.db import connection, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.test.utils import CaptureQueriesContext

from chatflow.workflows.migrations._indexes import AddIndex
from chatflow.workflows.models import Session

BEFORE = [("chatflow_workflows", "0012_turn")]


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

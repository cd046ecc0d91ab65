"""Indexes on tables that are in use; Django takes a module with this name for no migration.

Their migrations need ``atomic = False``, as PostgreSQL's CONCURRENTLY wants it, and so may be broken
off in the middle. A migration of these operations alone can then be run again.
"""

from typing import Any, cast

from django.db import migrations, models, transaction
from django.db.migrations.operations.base import Operation


def _is_elsewhere(operation: Operation, schema_editor: Any, model: Any) -> bool:
    """Whether the project's routers keep the model's table out of this database."""
    return not operation.allow_migrate_model(schema_editor.connection.alias, model)


def _finds(schema_editor: Any, table: str, name: str) -> bool:
    """Whether the table has an index or a constraint of this name."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Django would read the statements of the whole table, which takes a while. There a
            # constraint stands in the statement that made the table, as Django quotes it.
            cursor.execute(
                "SELECT 1 FROM sqlite_master WHERE tbl_name = %s"
                " AND (type = 'index' AND name = %s OR type = 'table' AND instr(sql, %s) > 0)",
                [table, name, f"CONSTRAINT {schema_editor.quote_name(name)} "],
            )
            return cursor.fetchone() is not None
        return name in connection.introspection.get_constraints(cursor, table)


class AddIndex(migrations.AddIndex):
    """Builds an index while others write, on PostgreSQL."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if _is_elsewhere(self, schema_editor, model):
            return
        if schema_editor.connection.vendor != "postgresql":
            if not _finds(schema_editor, model._meta.db_table, self.index.name):
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        # An invalid one is left by a build that was broken off.
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        schema_editor.add_index(model, self.index, concurrently=True)


class _WholeBackwards(Operation):
    """Goes back in one transaction: SQLite copies the table."""

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        with transaction.atomic(schema_editor.connection.alias):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class AddUnique(_WholeBackwards, migrations.AddConstraint):
    """Adds a unique constraint likewise."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        name, constraint = self.constraint.name, cast(models.UniqueConstraint, self.constraint)
        model = to_state.apps.get_model(app_label, self.model_name)
        if _is_elsewhere(self, schema_editor, model):
            return
        if schema_editor.connection.vendor != "postgresql":
            if not _finds(schema_editor, model._meta.db_table, name):
                # SQLite copies the table: no row may come, and nothing break off, in between.
                with transaction.atomic(schema_editor.connection.alias):
                    super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        table = schema_editor.quote_name(model._meta.db_table)
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        # What Django calls a unique constraint with a condition is no more than an index.
        index = models.Index(
            fields=constraint.fields, name=name, condition=constraint.condition
        ).create_sql(model, schema_editor, concurrently=True)
        schema_editor.execute(str(index).replace("CREATE INDEX", "CREATE UNIQUE INDEX", 1))
        if constraint.condition is None:
            schema_editor.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"
            )


class RemoveIndex(migrations.RemoveIndex):
    """Removes an index, if it is there still."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if _is_elsewhere(self, schema_editor, model):
            return
        if _finds(schema_editor, model._meta.db_table, self.name):
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class RemoveUnique(_WholeBackwards, migrations.RemoveConstraint):
    """Removes a unique constraint likewise."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if _is_elsewhere(self, schema_editor, model):
            return
        if _finds(schema_editor, model._meta.db_table, self.name):
            with transaction.atomic(schema_editor.connection.alias):
                super().database_forwards(app_label, schema_editor, from_state, to_state)


class CreateModel(migrations.CreateModel):
    """Goes by a table that is there already, beside indexes that may be broken off."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        table = to_state.apps.get_model(app_label, self.name)._meta.db_table
        if table in schema_editor.connection.introspection.table_names():
            return
        with transaction.atomic(schema_editor.connection.alias):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            # What waits for the end, such as foreign keys, belongs to the table.
            while schema_editor.deferred_sql:
                schema_editor.execute(schema_editor.deferred_sql.pop(0))


class AddField(migrations.AddField):
    """Goes by a column that is there already, likewise."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if _is_elsewhere(self, schema_editor, model):
            return
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            described = connection.introspection.get_table_description(
                cursor, model._meta.db_table
            )
        if self.name not in {column.name for column in described}:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

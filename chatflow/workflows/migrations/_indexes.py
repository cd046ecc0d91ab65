"""Indexes on tables that are in use; Django takes a module with this name for no migration."""

from typing import Any, cast

from django.db import migrations, models


class AddIndex(migrations.AddIndex):
    """Builds an index while others write, on PostgreSQL.

    Its migration needs ``atomic = False``, as CONCURRENTLY wants it.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        # An invalid one is left by a build that was broken off.
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, self.index, concurrently=True)


class AddUnique(migrations.AddConstraint):
    """Adds a unique constraint likewise."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        name, constraint = self.constraint.name, cast(models.UniqueConstraint, self.constraint)
        model = to_state.apps.get_model(app_label, self.model_name)
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

"""Indexes on tables that are in use; Django takes a module with this name for no migration."""

from typing import Any

from django.db import migrations


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

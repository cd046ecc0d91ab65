from typing import Any, ClassVar

from django.db import migrations, models


class AddIndex(migrations.AddIndex):
    """Builds an index while others write, on PostgreSQL."""

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


class Migration(migrations.Migration):
    # As CONCURRENTLY wants it.
    atomic = False

    dependencies: ClassVar = [("workflows", "0008_turns")]

    # The old indexes go last: the older code claims by them meanwhile.
    operations: ClassVar = [
        AddIndex(
            model_name="job",
            index=models.Index(
                models.F("queue"),
                models.F("is_async"),
                models.OrderBy(models.F("priority"), descending=True),
                models.F("turn"),
                models.F("id"),
                name="job_next_in_queue",
                condition=models.Q(
                    models.Case(models.When(state="queued", then=True), default=False),
                    ("inline", False),
                ),
            ),
        ),
        AddIndex(
            model_name="job",
            index=models.Index(
                models.F("is_async"),
                models.OrderBy(models.F("priority"), descending=True),
                models.F("turn"),
                models.F("id"),
                name="job_next_of_all",
                condition=models.Q(
                    models.Case(
                        models.When(models.Q(("state", "queued"), _negated=True), then=False),
                        default=True,
                    ),
                    ("inline", False),
                ),
            ),
        ),
        AddIndex(
            model_name="job",
            index=models.Index(
                fields=["user", "queue", "is_async", "priority", "turn"],
                name="job_turns",
                condition=models.Q(("inline", False), ("state", "queued"), ("turn__gte", 0)),
            ),
        ),
        AddIndex(
            model_name="job",
            index=models.Index(
                fields=["available_at"],
                name="job_delayed",
                condition=models.Q(
                    ("available_at__gt", models.F("created_at")), ("state", "queued")
                ),
            ),
        ),
        migrations.RemoveIndex(model_name="job", name="job_next"),
        migrations.RemoveIndex(model_name="job", name="job_due"),
    ]

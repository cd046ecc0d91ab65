from typing import ClassVar

from django.db import migrations, models

from chatflow.workflows.migrations._indexes import AddIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("chatflow_workflows", "0008_turns")]

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

from typing import Any, ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# A claim walks job_next from its beginning, over a dead entry of each job that ran since the last
# VACUUM. By itself PostgreSQL cleans a table up when a fifth of its rows is dead, which among a
# million jobs is a hundred thousand later; and leaves the indexes alone where it is few pages.
SETTINGS = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "5000",
    "vacuum_index_cleanup": "on",
}
USER = settings.AUTH_USER_MODEL


def clean_up_often(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        changes = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
        schema_editor.execute(f"ALTER TABLE workflows_job SET ({changes})")


def clean_up_as_usual(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE workflows_job RESET ({', '.join(SETTINGS)})")


def drop_index(
    model: str, name: str, hashed: str, field: "models.ForeignKey[Any, Any]"
) -> migrations.RunSQL:
    """Take a foreign key's own index away.

    AlterField would on PostgreSQL take every index of the column that isn't among Meta.indexes, such
    as the constraint that a job ends once; and on SQLite write the table anew.
    """
    table, column = f"workflows_{model}", f"{name}_id"
    index = f"{table}_{column}_{hashed}"
    return migrations.RunSQL(
        # PostgreSQL has a second one where the key is a text, as a user's may be.
        [f"DROP INDEX IF EXISTS {index}", f"DROP INDEX IF EXISTS {index}_like"],
        f"CREATE INDEX {index} ON {table} ({column})",
        state_operations=[migrations.AlterField(model_name=model, name=name, field=field)],
    )


def foreign_key(
    to: str,
    related_name: str,
    on_delete: Any = django.db.models.deletion.CASCADE,
    *,
    null: bool = False,
) -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey(
        to,
        on_delete=on_delete,
        related_name=related_name,
        null=null,
        blank=null,
        db_index=False,
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("chatflow_workflows", "0005_live"),
        migrations.swappable_dependency(USER),
    ]

    operations: ClassVar = [
        migrations.RunPython(clean_up_often, clean_up_as_usual),
        # To build an index lets others read, to drop one doesn't: so that comes last.
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("root__isnull", False)), fields=["root"], name="job_root"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("retry_of__isnull", False)),
                fields=["retry_of"],
                name="job_retry_of",
            ),
        ),
        migrations.RemoveIndex(model_name="job", name="job_due"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True), ("state", "queued")),
                fields=["available_at"],
                name="job_due",
            ),
        ),
        drop_index("job", "root", "3b10d50c", foreign_key("chatflow_workflows.job", "turns", null=True)),
        drop_index(
            "job",
            "retry_of",
            "eb07ba5b",
            foreign_key(
                "chatflow_workflows.job", "retries", django.db.models.deletion.SET_NULL, null=True
            ),
        ),
        drop_index("job", "user", "8c3da35e", foreign_key(USER, "jobs")),
        drop_index("session", "user", "32be203e", foreign_key(USER, "chat_sessions")),
        drop_index("message", "session", "1845bf43", foreign_key("chatflow_workflows.session", "messages")),
        drop_index("event", "job", "7490116f", foreign_key("chatflow_workflows.job", "events")),
        drop_index("step", "root", "40bf064b", foreign_key("chatflow_workflows.job", "all_steps")),
        drop_index("dailyusage", "user", "5ada9a5b", foreign_key(USER, "+")),
    ]

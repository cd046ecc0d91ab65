from typing import ClassVar

from django.db import migrations, models

from chatflow.workflows.migrations._indexes import (
    AddIndex,
    AddUnique,
    RemoveIndex,
    RemoveUnique,
)


class Migration(migrations.Migration):
    # Broken off, it can be run again: the old constraints go last.
    atomic = False

    dependencies: ClassVar = [("chatflow_workflows", "0015_tenant")]

    operations: ClassVar = [
        AddUnique(
            model_name="session",
            constraint=models.UniqueConstraint(
                fields=["user", "tenant", "key"], name="session_user_tenant_key"
            ),
        ),
        AddUnique(
            model_name="job",
            constraint=models.UniqueConstraint(
                fields=["user", "tenant", "idempotency_key"],
                condition=models.Q(idempotency_key__isnull=False),
                name="job_tenant_idempotency_key",
            ),
        ),
        AddUnique(
            model_name="job",
            constraint=models.UniqueConstraint(
                fields=["workflow", "tenant", "unique_key"],
                condition=models.Q(
                    state__in=("queued", "processing"), unique_key__isnull=False
                ),
                name="job_one_active_per_tenant_key",
            ),
        ),
        RemoveIndex(model_name="session", name="session_list"),
        AddIndex(
            model_name="session",
            index=models.Index(
                models.F("user"),
                models.F("tenant"),
                models.OrderBy(models.F("pinned"), descending=True),
                models.OrderBy(models.F("updated_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="session_list",
            ),
        ),
        RemoveIndex(model_name="job", name="job_user_recent"),
        AddIndex(
            model_name="job",
            index=models.Index(fields=["user", "tenant", "-created_at"], name="job_user_recent"),
        ),
        RemoveUnique(model_name="session", name="session_user_key"),
        RemoveUnique(model_name="job", name="job_user_idempotency_key"),
        RemoveUnique(model_name="job", name="job_one_active_per_unique_key"),
    ]

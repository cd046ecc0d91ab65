from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from chatflow.workflows.migrations._indexes import AddIndex, CreateModel


class Migration(migrations.Migration):
    # Broken off, it can be run again.
    atomic = False

    dependencies: ClassVar = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chatflow_workflows", "0018_figures"),
    ]

    operations: ClassVar = [
        CreateModel(
            name="UsageFigures",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("workflow", models.CharField(max_length=100)),
                ("model", models.CharField(max_length=100)),
                ("day", models.DateField()),
                ("requests", models.PositiveIntegerField(default=0)),
                ("input_tokens", models.PositiveBigIntegerField(default=0)),
                ("output_tokens", models.PositiveBigIntegerField(default=0)),
                ("cost", models.DecimalField(decimal_places=8, default=0, max_digits=18)),
                ("unpriced", models.PositiveIntegerField(default=0)),
            ],
            options={
                "db_table": "workflows_usagefigures",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "day", "workflow", "model"), name="usage_figures_once"
                    )
                ],
                "indexes": [models.Index(fields=["day"], name="usage_figures_day")],
            },
        ),
        CreateModel(
            name="UsageMark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("finished_at", models.DateTimeField()),
                ("job", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "workflows_usagemark"},
        ),
        migrations.AlterModelOptions(
            name="dailyusage", options={"verbose_name_plural": "usage"}
        ),
        AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                condition=models.Q(decided_at__isnull=True),
                fields=["expires_at"],
                name="approval_urgent",
            ),
        ),
        AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                condition=models.Q(decided_at__isnull=False) & ~models.Q(via="expiry"),
                fields=["approved", "id"],
                name="approval_verdict",
            ),
        ),
        AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                condition=models.Q(via="expiry"), fields=["id"], name="approval_expired"
            ),
        ),
        AddIndex(
            model_name="approvalrequest",
            index=models.Index(fields=["workflow", "id"], name="approval_workflow"),
        ),
        AddIndex(
            model_name="dailyusage", index=models.Index(fields=["day"], name="daily_usage_day")
        ),
        AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(pinned=True), fields=["id"], name="session_pinned"
            ),
        ),
    ]

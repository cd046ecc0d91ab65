from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chatflow.workflows.models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("chatflow_workflows", "0002_ai"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="job", name="input", field=models.JSONField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="job", name="offers", field=models.JSONField(blank=True, null=True)
        ),
        migrations.CreateModel(
            name="ActionUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("action_id", models.CharField(max_length=39, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="chatflow_workflows.job",
                    ),
                ),
                (
                    "offered_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="action_uses",
                        to="chatflow_workflows.job",
                    ),
                ),
            ],
            options={"db_table": "workflows_actionuse"},
        ),
        migrations.CreateModel(
            name="ApprovalRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "public_id",
                    models.CharField(
                        default=chatflow.workflows.models.make_approval_id, max_length=41, unique=True
                    ),
                ),
                ("workflow", models.CharField(max_length=100)),
                ("prompt", models.TextField()),
                ("details", models.JSONField(blank=True, default=dict)),
                ("schema", models.JSONField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("approved", models.BooleanField(null=True)),
                ("reason", models.TextField(blank=True)),
                ("answer", models.JSONField(blank=True, null=True)),
                ("by", models.CharField(blank=True, max_length=150)),
                (
                    "via",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("chat", "Chat"),
                            ("api", "Api"),
                            ("admin", "Admin"),
                            ("expiry", "Expiry"),
                        ],
                        max_length=6,
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="approval_requests",
                        to="chatflow_workflows.job",
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="approval_requests",
                        to="chatflow_workflows.session",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="approval_requests",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "workflows_approvalrequest",
                "indexes": [
                    models.Index(
                        condition=models.Q(("decided_at__isnull", True)),
                        fields=["user", "id"],
                        name="approval_undecided",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("approved__isnull", True), ("decided_at__isnull", True)),
                            models.Q(("approved__isnull", False), ("decided_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="approval_decided_at_once",
                    )
                ],
            },
        ),
    ]

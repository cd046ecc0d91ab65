from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from chatflow.workflows.migrations._indexes import AddField, AddIndex, CreateModel
from chatflow.workflows.tenants import tenant_field


class Migration(migrations.Migration):
    # Broken off, it can be run again.
    atomic = False

    dependencies: ClassVar = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chatflow_knowledge", "0007_tenant"),
    ]

    operations: ClassVar = [
        AddField(
            model_name="document",
            name="read_ms",
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        CreateModel(
            name="UnreadFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "document",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="unread",
                        to="chatflow_knowledge.document",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("tenant", tenant_field()),
                ("name", models.CharField(max_length=1000)),
                ("error", models.TextField()),
                ("failed_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "knowledge_unreadfile",
                "verbose_name": "file that could not be read",
                "verbose_name_plural": "files that could not be read",
                "indexes": [models.Index(fields=["owner", "tenant", "id"], name="unread_owner")],
            },
        ),
        AddIndex(
            model_name="document",
            index=models.Index(fields=["-updated_at"], name="document_latest"),
        ),
        AddIndex(
            model_name="document",
            index=models.Index(fields=["kind", "-updated_at"], name="document_kind_latest"),
        ),
        AddIndex(
            model_name="document",
            index=models.Index(fields=["owner", "-updated_at"], name="document_owner_latest"),
        ),
    ]

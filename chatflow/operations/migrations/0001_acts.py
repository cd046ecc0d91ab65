from typing import Any

import django.utils.timezone
from django.db import migrations, models

from chatflow.operations import append_only


def guard(apps: Any, schema_editor: Any) -> None:
    append_only.guard(schema_editor.connection)


def unguard(apps: Any, schema_editor: Any) -> None:
    append_only.unguard(schema_editor.connection)


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.CreateModel(
            name="Act",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("who_key", models.CharField(blank=True, max_length=254)),
                ("who", models.CharField(max_length=254)),
                ("origin", models.CharField(blank=True, max_length=254)),
                ("act", models.CharField(max_length=100)),
                ("target_type", models.CharField(blank=True, max_length=200)),
                ("target_id", models.CharField(blank=True, max_length=254)),
                ("outcome", models.TextField(blank=True)),
                ("why", models.TextField(blank=True)),
            ],
            options={
                "default_permissions": ("view",),
                "permissions": [
                    ("read_texts", "Can read what users and models wrote"),
                    ("manage_persons", "Can export and delete all data of a person"),
                ],
                "indexes": [
                    models.Index(fields=["at"], name="chatflow_act_at"),
                    models.Index(fields=["who", "id"], name="chatflow_act_who"),
                    models.Index(fields=["act", "id"], name="chatflow_act_act"),
                    models.Index(
                        fields=["target_id", "target_type", "id"], name="chatflow_act_target"
                    ),
                ],
            },
        ),
        migrations.RunPython(guard, unguard),
    ]

from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0011_conversations")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="message",
            name="cut",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name="Feedback",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "value",
                    models.CharField(choices=[("up", "Up"), ("down", "Down")], max_length=4),
                ),
                ("comment", models.TextField(blank=True)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feedback",
                        to="chatflow_workflows.job",
                    ),
                ),
            ],
            options={"db_table": "workflows_feedback", "verbose_name_plural": "feedback"},
        ),
    ]

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chatflow_workflows", "0019_pages"),
    ]

    operations: ClassVar = [
        # Null: clusters whose code knows nothing of it go on. The clusters add up what there is.
        migrations.AddField("usagemark", "summed_upto", models.DateField(null=True)),
        migrations.CreateModel(
            name="UsageSums",
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
                ("requests", models.PositiveIntegerField(default=0)),
                ("input_tokens", models.PositiveBigIntegerField(default=0)),
                ("output_tokens", models.PositiveBigIntegerField(default=0)),
                ("cost", models.DecimalField(decimal_places=8, default=0, max_digits=18)),
                ("unpriced", models.PositiveIntegerField(default=0)),
                (
                    "span",
                    models.CharField(
                        choices=[("week", "Week"), ("month", "Month")], max_length=5
                    ),
                ),
                ("since", models.DateField()),
            ],
            options={
                "db_table": "workflows_usagesums",
                "indexes": [models.Index(fields=["span", "since"], name="usage_sums_since")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "since", "span", "workflow", "model"),
                        name="usage_sums_once",
                    )
                ],
            },
        ),
    ]

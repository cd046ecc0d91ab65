from typing import ClassVar

from django.db import migrations, models

COUNTS = ("completed", "failed", "timeout", "cancelled", "lost", "retried")
LARGE_COUNTS = ("requests", "input_tokens", "output_tokens")
SUMS = ("seconds_waited", "seconds_ran", "cost_usd")


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0017_tasks")]

    operations: ClassVar = [
        # Null: clusters whose code knows nothing of them go on.
        *(
            migrations.AddField("cluster", name, models.JSONField(null=True, blank=True))
            for name in ("queues", "processes")
        ),
        migrations.CreateModel(
            name="Figures",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "span",
                    models.PositiveSmallIntegerField(choices=[(60, "Minute"), (3600, "Hour")]),
                ),
                ("since", models.DateTimeField()),
                ("queue", models.CharField(max_length=50)),
                ("workflow", models.CharField(max_length=100)),
                *((name, models.PositiveIntegerField(default=0)) for name in COUNTS),
                *((name, models.JSONField(default=list)) for name in ("waited", "ran")),
                *((name, models.FloatField(default=0)) for name in SUMS),
                *((name, models.PositiveBigIntegerField(default=0)) for name in LARGE_COUNTS),
            ],
            options={
                "db_table": "workflows_figures",
                "verbose_name": "figures",
                "verbose_name_plural": "overview",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("span", "since", "queue", "workflow"), name="figures_once"
                    )
                ],
            },
        ),
    ]

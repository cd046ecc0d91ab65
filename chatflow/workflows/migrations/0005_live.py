from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0004_memory")]

    operations: ClassVar = [
        migrations.RemoveIndex(model_name="job", name="job_next"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                models.OrderBy(models.F("priority"), descending=True),
                models.F("id"),
                condition=models.Q(
                    models.Case(models.When(state="queued", then=True), default=False)
                ),
                name="job_next",
            ),
        ),
    ]

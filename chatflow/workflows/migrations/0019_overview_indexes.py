from typing import ClassVar

from django.db import migrations, models

from chatflow.workflows.migrations._indexes import AddIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("chatflow_workflows", "0018_figures")]

    operations: ClassVar = [
        AddIndex(
            model_name="approvalrequest",
            index=models.Index(
                fields=["expires_at"],
                name="approval_expiring",
                condition=models.Q(decided_at__isnull=True),
            ),
        ),
        AddIndex(
            model_name="dailyusage",
            index=models.Index(fields=["day"], name="daily_usage_day"),
        ),
    ]

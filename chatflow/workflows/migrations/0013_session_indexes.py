from typing import ClassVar

from django.db import migrations, models

from chatflow.workflows.migrations._indexes import AddIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("chatflow_workflows", "0012_turn")]

    operations: ClassVar = [
        AddIndex(
            model_name="session",
            index=models.Index(
                models.F("user"),
                models.OrderBy(models.F("pinned"), descending=True),
                models.OrderBy(models.F("updated_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="session_list",
            ),
        ),
        AddIndex(
            model_name="session",
            index=models.Index(fields=["user", "changed"], name="session_changes"),
        ),
    ]

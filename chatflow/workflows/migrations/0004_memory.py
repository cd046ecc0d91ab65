from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0003_actions")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="session",
            name="summary",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="session",
            name="summary_upto",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="message",
            name="remembered",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]

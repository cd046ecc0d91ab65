from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0007_identity")]

    # With defaults of the database's, as in 0007. Jobs that wait already go first, in their order.
    operations: ClassVar = [
        migrations.AddField(
            model_name="job",
            name="turn",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="job",
            name="is_async",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0006_growth")]

    # With defaults of the database's: no row is written anew, and processes that run the older code
    # meanwhile can go on to store jobs.
    operations: ClassVar = [
        migrations.AddField(
            model_name="job",
            name="worker",
            field=models.CharField(blank=True, db_default="", default="", max_length=50),
        ),
        migrations.AddField(
            model_name="cluster",
            name="place",
            field=models.CharField(blank=True, db_default="", default="", max_length=150),
        ),
        migrations.AddField(
            model_name="cluster",
            name="began",
            field=models.BigIntegerField(blank=True, null=True),
        ),
    ]

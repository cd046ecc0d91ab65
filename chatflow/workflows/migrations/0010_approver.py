from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0009_lines")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="approvalrequest",
            name="by",
            field=models.CharField(blank=True, max_length=254),
        ),
    ]

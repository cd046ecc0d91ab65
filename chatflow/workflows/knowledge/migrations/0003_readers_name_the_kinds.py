"""The readers say which kinds there are; the column stays as it is."""

from django.db import migrations, models

import chatflow.workflows.knowledge.readers


class Migration(migrations.Migration):
    dependencies = [("chatflow_knowledge", "0002_fulltext")]
    operations = [
        migrations.AlterField(
            "document",
            "kind",
            models.CharField(choices=chatflow.workflows.knowledge.readers.choices, max_length=20),
        ),
    ]

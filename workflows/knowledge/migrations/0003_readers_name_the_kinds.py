"""The readers say which kinds there are; the column stays as it is."""

from django.db import migrations, models

import workflows.knowledge.readers


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0002_fulltext")]
    operations = [
        migrations.AlterField(
            "document",
            "kind",
            models.CharField(choices=workflows.knowledge.readers.choices, max_length=20),
        ),
    ]

from typing import Any

from django.conf import settings
from django.db import migrations

from chatflow.operations import groups


def forward(apps: Any, schema_editor: Any) -> None:
    database = schema_editor.connection.alias
    # In this order: the new groups have what they are to have.
    groups.let_readers_read(apps, database)
    groups.make_groups(apps, database)


class Migration(migrations.Migration):
    dependencies = [
        ("chatflow_operations", "0001_acts"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [migrations.RunPython(forward, migrations.RunPython.noop)]

from typing import Any

from django.db import migrations
from django.db.models import F

# Rows that people know by words; since this version the admin's history calls them by their keys.
UNSAID = {
    "chatflow_knowledge": ("document", "unreadfile", "attachment", "chunk"),
    "chatflow": ("token",),
}


def forward(apps: Any, schema_editor: Any) -> None:
    """Take the words out of the history that there is: it is kept for longer than they are."""
    entries = apps.get_model("admin", "LogEntry").objects.using(schema_editor.connection.alias)
    for label, models in UNSAID.items():
        of_ours = entries.filter(content_type__app_label=label, content_type__model__in=models)
        of_ours.exclude(object_id=None).update(object_repr=F("object_id"))


class Migration(migrations.Migration):
    dependencies = [
        ("chatflow_operations", "0003_retention"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(forward, migrations.RunPython.noop)]

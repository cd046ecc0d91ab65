from typing import Any

from django.conf import settings
from django.db import migrations

from chatflow.models import make_token_id

COLUMNS = "digest, token_key, user_id, created, expiry"


def take_over_tokens(apps: Any, schema_editor: Any) -> None:
    """Take over the tokens of Knox's own table, and drop it.

    Django doesn't know that table any more: its rows would keep users from being deleted, and its
    foreign key the database from being flushed.

    A project that uses Knox itself keeps its own.
    """
    if getattr(settings, "KNOX_TOKEN_MODEL", "") != "chatflow.Token":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM knox_authtoken")
        rows = [(*row, make_token_id()) for row in cursor.fetchall()]
        cursor.executemany(
            f"INSERT INTO chatflow_token ({COLUMNS}, public_id, name, scope, workflow)"
            " VALUES (%s, %s, %s, %s, %s, %s, '', 'all', '')",
            rows,
        )
        cursor.execute("DROP TABLE knox_authtoken")


class Migration(migrations.Migration):
    dependencies = [
        ("chatflow", "0002_accounts"),
        ("knox", "0009_extend_authtoken_field"),
    ]

    operations = [migrations.RunPython(take_over_tokens)]

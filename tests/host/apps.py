from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

# Where the tables are on PostgreSQL: see settings.py.
SCHEMA = "team"


class HostConfig(AppConfig):
    name = "tests.host"
    label = "host"

    def ready(self) -> None:
        connection_created.connect(make_schema)


def make_schema(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

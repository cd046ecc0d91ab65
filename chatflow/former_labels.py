"""Databases of before the apps were called ``chatflow_*``: what Django noted under the old labels.

The tables keep their names. Only Django's own bookkeeping names an app: which migrations were
applied, and the content types that permissions and the admin's history point to.
"""

from django.apps import apps
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

FORMER = {"workflows": "chatflow_workflows", "knowledge": "chatflow_knowledge"}


def rename_labels(connection: BaseDatabaseWrapper) -> None:
    """Let what stands under a former label stand under today's.

    A project's own app may have the former label: its rows are left alone.

    Args:
        connection: to the database that is about to be migrated.
    """
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return
    loader = MigrationLoader(None)
    for former, label in FORMER.items():
        ours = {name for app, name in loader.disk_migrations if app == label}
        noted = recorder.migration_qs.filter(app=former)
        names = set(noted.values_list("name", flat=True))
        if names and names <= ours and former not in apps.app_configs:
            with transaction.atomic(connection.alias):
                noted.update(app=label)
                _rename_content_types(connection, former, label)


def _rename_content_types(connection: BaseDatabaseWrapper, former: str, label: str) -> None:
    # Not every project has them.
    if not apps.is_installed("django.contrib.contenttypes"):
        return
    from django.contrib.contenttypes.models import ContentType

    if ContentType._meta.db_table in connection.introspection.table_names():
        types = ContentType.objects.using(connection.alias)
        models = [model._meta.model_name for model in apps.get_app_config(label).get_models()]
        types.filter(app_label=former, model__in=models).update(app_label=label)

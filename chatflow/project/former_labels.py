"""Databases of before the apps were called ``chatflow_*``: what Django noted under the old labels.

The tables keep their names. Only Django's own bookkeeping names an app: which migrations were
applied, and the content types that permissions and the admin's history point to.
"""

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from chatflow.workflows.db import atomic

FORMER = {"workflows": "chatflow_workflows", "knowledge": "chatflow_knowledge"}

# A table of each app's since its first migration, and columns that another app's hardly has.
TABLES = {
    "workflows": ("workflows_job", {"public_id", "waited"}),
    "knowledge": ("knowledge_document", {"content_hash", "chunk_count"}),
}


def rename_labels(connection: BaseDatabaseWrapper) -> None:
    """Let what stands under a former label stand under today's.

    A project's own app may have the former label, or have had it: its rows are left alone.

    Args:
        connection: to the database that is about to be migrated.
    """
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return
    for former, label in FORMER.items():
        noted = recorder.migration_qs.filter(app=former)
        names = set(noted.values_list("name", flat=True))
        if not names or former in apps.app_configs or not names <= _names(label):
            continue
        if recorder.migration_qs.filter(app=label).exists() or not _has_table(connection, former):
            continue
        with atomic(connection.alias):
            noted.update(app=label)
            _rename_content_types(connection, former, label)


def _names(label: str) -> set[str]:
    """Return the names of an app's migrations; it takes a while, and few databases need it."""
    return {name for app, name in MigrationLoader(None).disk_migrations if app == label}


def _has_table(connection: BaseDatabaseWrapper, former: str) -> bool:
    # Another app's migrations may have the same names, such as "0001_initial".
    table, columns = TABLES[former]
    introspection = connection.introspection
    if table not in introspection.table_names():
        return False
    with connection.cursor() as cursor:
        return columns <= {each.name for each in introspection.get_table_description(cursor, table)}


def _rename_content_types(connection: BaseDatabaseWrapper, former: str, label: str) -> None:
    # Not every project has them.
    if not apps.is_installed("django.contrib.contenttypes"):
        return
    from django.contrib.contenttypes.models import ContentType

    if ContentType._meta.db_table in connection.introspection.table_names():
        types = ContentType.objects.using(connection.alias)
        models = [model._meta.model_name for model in apps.get_app_config(label).get_models()]
        noted = types.filter(app_label=former, model__in=models)
        # Today's code may have noted its own already. Permissions and history point to the former.
        types.filter(app_label=label, model__in=noted.values("model")).delete()
        noted.update(app_label=label)
        ContentType.objects.clear_cache()

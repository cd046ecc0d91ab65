from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import post_save


class WorkflowsConfig(AppConfig):
    name = "chatflow.workflows"
    label = "chatflow_workflows"
    verbose_name = "Workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chatflow.workflows import checks, registry  # noqa: F401
        from chatflow.workflows.services.deactivation import stop_work_of_deactivated

        post_save.connect(stop_work_of_deactivated)
        connection_created.connect(_prepare)
        registry.discover()


def _prepare(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    from chatflow.workflows.db import alias
    from chatflow.workflows.store.database import get_database, read_clock

    if connection.alias == alias():
        get_database().prepare(connection)
        read_clock(connection)

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class WorkflowsConfig(AppConfig):
    name = "workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from workflows import checks, registry  # noqa: F401
        from workflows.prepared import prepare_statements

        connection_created.connect(prepare_statements)
        registry.discover()

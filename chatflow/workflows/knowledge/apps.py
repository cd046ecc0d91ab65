from django.apps import AppConfig
from django.db.models.signals import post_migrate


class KnowledgeConfig(AppConfig):
    name = "chatflow.workflows.knowledge"
    label = "chatflow_knowledge"
    verbose_name = "Knowledge"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chatflow.workflows.knowledge import vectors

        post_migrate.connect(vectors.prepare, sender=self)

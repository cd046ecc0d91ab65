from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "chatflow.operations"
    label = "chatflow_operations"
    verbose_name = "Operations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.admin.models import LogEntry
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_save

        from chatflow.operations import audit
        from chatflow.workflows.management.console import acted

        acted.connect(audit.receive)
        user_logged_in.connect(audit.record_sign_in)
        post_save.connect(audit.mirror, sender=LogEntry)

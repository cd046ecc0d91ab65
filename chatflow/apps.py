from django.apps import AppConfig


class ChatflowConfig(AppConfig):
    name = "chatflow"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chatflow import middleware, schema  # noqa: F401

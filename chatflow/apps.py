from django.apps import AppConfig
from django.urls import set_script_prefix


class ChatflowConfig(AppConfig):
    name = "chatflow"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chatflow import checks, middleware, schema, tokens  # noqa: F401

        # A link made outside of a request, such as by a worker, is stored without any prefix, even
        # that of FORCE_SCRIPT_NAME: addresses.py adds the prefix of the request that reads it.
        set_script_prefix("/")

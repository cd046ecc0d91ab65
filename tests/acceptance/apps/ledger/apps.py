from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "tests.acceptance.apps.ledger"
    default_auto_field = "django.db.models.BigAutoField"

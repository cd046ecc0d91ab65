from django.apps import AppConfig


class InvoicingConfig(AppConfig):
    name = "examples.invoicing"
    label = "invoicing"
    verbose_name = "Invoicing"
    default_auto_field = "django.db.models.BigAutoField"

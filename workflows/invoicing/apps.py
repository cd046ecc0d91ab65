from django.apps import AppConfig


class InvoicingConfig(AppConfig):
    name = "workflows.invoicing"
    label = "invoicing"
    verbose_name = "Invoicing"
    default_auto_field = "django.db.models.BigAutoField"

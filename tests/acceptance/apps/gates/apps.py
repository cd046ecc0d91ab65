from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save

from tests.acceptance.apps.gates import pass_gate


class GatesConfig(AppConfig):
    name = "tests.acceptance.apps.gates"

    def ready(self) -> None:
        from workflows.invoicing.models import Invoice

        post_save.connect(on_invoice, sender=Invoice)


def on_invoice(**kwargs: Any) -> None:
    """Stop inside the atomic step that saves the invoice, after it has been written."""
    pass_gate("invoice")

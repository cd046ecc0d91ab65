from typing import Any

from django.core.management.commands.flush import Command as Flush

from chatflow.operations.append_only import removing


class Command(Flush):
    """Django's own, which empties the log of acts too: it has asked, and nothing else is left."""

    def handle(self, **options: Any) -> None:
        with removing(options["database"]):
            super().handle(**options)

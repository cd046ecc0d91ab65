from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from django.db import connections

from chatflow.project.former_labels import rename_labels


class Command(Migrate):
    """Django's own, which finds a database of before the apps were called ``chatflow_*`` too."""

    def handle(self, *args: Any, **options: Any) -> None:
        # With --check nothing is written: it is what new processes wait with for the migrations.
        if not options["check_unapplied"]:
            rename_labels(connections[options["database"]])
        super().handle(*args, **options)

from typing import Any

from django.core.management.base import CommandParser

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.management.console import MOST_DAYS, tell, whole_number
from chatflow.workflows.store import pruning


class Command(DatabaseCommand):
    help = "Delete jobs that ended long ago, with their steps and events; messages stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=whole_number(0, MOST_DAYS),
            default=30,
            metavar="N",
            help="Those that ended more than N days ago (30).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count = pruning.prune(options["days"])
        outcome = f"Pruned {count} job{'' if count == 1 else 's'}."
        if count:
            tell("Prune", outcome=outcome)
        self.stdout.write(outcome)

from typing import Any

from django.core.management.base import CommandParser

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.management.console import MOST_HOURS, tell, whole_number
from chatflow.workflows.services import queues


class Command(DatabaseCommand):
    help = "Take all jobs off the list of failures; their owners still see them until pruned."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--hours",
            type=whole_number(0, MOST_HOURS),
            default=0,
            metavar="N",
            help="Only those that failed more than N hours ago.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count = queues.flush(options["hours"])
        outcome = f"Forgot {count} failed job{'' if count == 1 else 's'}."
        tell("Flush", outcome=outcome)
        self.stdout.write(outcome)

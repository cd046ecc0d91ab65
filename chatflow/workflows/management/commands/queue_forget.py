from typing import Any

from django.core.management.base import CommandError, CommandParser

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.management.console import tell
from chatflow.workflows.models import Job
from chatflow.workflows.services import queues


class Command(DatabaseCommand):
    help = "Take a job off the list of failures; its owner still sees it until it is pruned."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", metavar="ID", help="Id of a job.")

    def handle(self, *args: Any, **options: Any) -> None:
        public_id = options["id"]
        found = Job.objects.filter(public_id=public_id)
        job = found.first()
        if job is None:
            raise CommandError(f"There is no job {public_id!r}.")
        if not queues.forget(found):
            raise CommandError(f"{public_id} is not on the list of failures.")
        tell("Forget", job)
        self.stdout.write(f"Forgot {public_id}.")

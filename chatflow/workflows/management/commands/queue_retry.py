from typing import Any

from django.core.management.base import CommandError, CommandParser

from chatflow.workflows import services
from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.exceptions import ChatflowError, JobNotFound
from chatflow.workflows.management.console import tell
from chatflow.workflows.models import Job
from chatflow.workflows.services import queues


class Command(DatabaseCommand):
    help = "Do failed jobs again: prints the id of each new job beside that of the old one."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("ids", nargs="*", default=[], metavar="ID", help="Ids of jobs.")
        which.add_argument("--all", action="store_true", help="Every job on the failures' list.")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for public_id in failures() if options["all"] else options["ids"]:
            try:
                job = find(public_id)
                new = services.retry(job)
            except ChatflowError as error:
                failed += 1
                self.stderr.write(f"{public_id}: {error}")
            else:
                self.stdout.write(f"{public_id} -> {new.public_id}")
                tell("Retry", job, f"As {new}.")
        if failed:
            raise CommandError(f"{failed} of the jobs could not be retried.")


def failures() -> list[str]:
    return list(queues.failures().reverse().values_list("public_id", flat=True))


def find(public_id: str) -> Job:
    job = Job.objects.filter(public_id=public_id).first()
    if job is None:
        raise JobNotFound
    return job

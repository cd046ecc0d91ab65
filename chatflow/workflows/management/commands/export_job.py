from typing import Any

from django.core.management.base import CommandError, CommandParser

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.management.console import tell
from chatflow.workflows.models import Job
from chatflow.workflows.testing.cases import make_case
from chatflow.workflows.testing.redaction import NAMES, Redaction


class Command(DatabaseCommand):
    help = (
        "Print a job, with all turns and retries of its conversation with the workflow, as a test "
        "case, which chatflow.workflows.testing.replay() runs against today's code. "
        f"Hidden are the values of fields called {', '.join(NAMES)}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", metavar="ID", help="The job's id, or its number in the admin.")
        parser.add_argument(
            "--redact",
            action="append",
            default=[],
            metavar="NAME",
            help="Hide the values of fields of this name too; a * stands for any letters.",
        )
        parser.add_argument(
            "--keep",
            action="append",
            default=[],
            metavar="NAME",
            help="Don't hide those of this name, such as message.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["id"]
        # The admin's addresses have the row's number.
        by = {"pk": wanted} if wanted.isdecimal() else {"public_id": wanted}
        job = Job.objects.filter(**by).first()
        if job is None:
            raise CommandError("There is no such job.")
        redaction = Redaction(options["redact"], options["keep"])
        self.stdout.write(make_case(job, redaction).dump())
        tell("Export a job", job)
        self.stderr.write("Look the case over before you commit it: values are hidden by name.")

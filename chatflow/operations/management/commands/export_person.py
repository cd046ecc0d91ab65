from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chatflow.management.users import get_user
from chatflow.operations.audit import record_at_terminal
from chatflow.operations.persons import export_person
from chatflow.workflows.commands import DatabaseCommand


class Command(DatabaseCommand):
    help = "Write all that is kept of a person, with their files, into a ZIP."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--to", type=Path, help="The file; by default person-KEY.zip here.")
        parser.add_argument("--why", default="", help="For the log of acts.")

    def handle(self, *args: Any, username: str, why: str, **options: Any) -> str:
        user = get_user(username)
        path: Path = options["to"] or Path(f"person-{user.pk}.zip")
        try:
            # For its owner alone; what is there already stays.
            path.touch(mode=0o600, exist_ok=False)
            with path.open("wb") as file:
                counts = export_person(user, file)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}.") from error
        record_at_terminal(user, "Export a person", why)
        return f"Wrote {path}: {counts['sessions']} conversations, {counts['jobs']} jobs."

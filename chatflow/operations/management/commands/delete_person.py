from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import ProtectedError, RestrictedError

from chatflow.management.users import get_user
from chatflow.operations.audit import record_at_terminal
from chatflow.operations.persons import delete_person, told
from chatflow.workflows.commands import DatabaseCommand

ACT = "Delete a person"


class Command(DatabaseCommand):
    help = "Delete a person with all that is kept of them; it can't be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--noinput", "--no-input", action="store_true", help="Don't ask.")
        parser.add_argument("--why", default="", help="For the log of acts.")

    def handle(self, *args: Any, username: str, noinput: bool, why: str, **options: Any) -> str:
        user = get_user(username)
        if not noinput and input(f"Type {username} to delete all of it: ") != username:
            raise CommandError("Nothing was deleted.")
        record_at_terminal(user, ACT, why, outcome="Begun.")
        try:
            outcome = told(delete_person(user))
        except (ProtectedError, RestrictedError) as error:
            raise CommandError(f"The project's own rows keep the account: {error}") from error
        record_at_terminal(user, ACT, why, outcome=f"Done: {outcome}")
        return f"Deleted {outcome}"

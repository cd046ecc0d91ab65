"""What the terminal's commands have in common."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from chatflow.workflows.exceptions import advice, first_line


class DatabaseCommand(BaseCommand):
    """A command that says in one line that the database has not been migrated."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it.

        Raises:
            CommandError: a table or a column that it needs isn't there.
        """
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            told = advice(error)
            if told == first_line(error):
                raise
            raise CommandError(told) from error

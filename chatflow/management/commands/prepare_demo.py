import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from chatflow.development.servers import die_with_parent
from chatflow.management.commands.seed_demo import DEMO
from chatflow.operations import audit
from chatflow.workflows.users import find_user

# What a demo's token is known by: each start replaces that of the one before.
TOKEN = "make demo"


class Command(BaseCommand):
    help = (
        "Make the tables and the demo's data, and print how to get in. bin/demo begins with it: "
        "one process for all of them, as each takes a second to start."
    )
    # Those of migrate are enough.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-users", action="store_true", help="Make nobody: others can reach this site."
        )

    def run_from_argv(self, argv: list[str]) -> None:
        # Else a demo that was killed, and started again, would be prepared twice at a time.
        die_with_parent()
        super().run_from_argv(argv)

    def handle(self, *args: Any, no_users: bool, **options: Any) -> None:
        call_command(
            "migrate", interactive=False, verbosity=0, skip_checks=False, stdout=self.stdout
        )
        call_command("seed_demo", no_users=no_users, stdout=self.stdout)
        user, _ = DEMO
        if find_user(user) is None:
            return
        # bin/demo reads both.
        with _unlogged():
            token = call_command("create_token", user, name=TOKEN, replace=True, stdout=StringIO())
            self.stdout.write(f"The token of {user} is {token}")
            link = call_command("sign_in_link", user, stdout=StringIO())
            self.stdout.write(f"The link of {user} is {link}")


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the acts from the terminal, which is told what they were for; they are recorded."""
    before = audit.logger.level
    audit.logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        audit.logger.setLevel(before)

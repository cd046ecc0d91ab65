from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.urls import NoReverseMatch

from chatflow.access.sign_in_links import make_link
from chatflow.management.users import get_user
from chatflow.operations.audit import record_at_terminal
from chatflow.wire.addresses import configured_prefix
from chatflow.workflows.commands import DatabaseCommand


class Command(DatabaseCommand):
    help = "Print a path of this host that signs a user in, once and within an hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> str:
        user = get_user(username)
        try:
            link = configured_prefix() + make_link(user)
        except NoReverseMatch:
            raise CommandError("This project has no page at which such a link is opened.") from None
        record_at_terminal(user, "Make a sign-in link")
        return link

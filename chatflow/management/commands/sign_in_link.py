from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.urls import NoReverseMatch

from chatflow.addresses import configured_prefix
from chatflow.management.users import get_user
from chatflow.sign_in_links import make_link
from chatflow.workflows.commands import DatabaseCommand


class Command(DatabaseCommand):
    help = "Print a path of this host that signs a user in, once and within an hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> str:
        try:
            return configured_prefix() + make_link(get_user(username))
        except NoReverseMatch:
            raise CommandError("This project has no page at which such a link is opened.") from None

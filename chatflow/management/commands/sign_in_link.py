from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatflow.sign_in_links import make_link
from workflows.users import find_user


class Command(BaseCommand):
    help = "Print a path of this site that signs a user in, once and within an hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> str:
        user = find_user(username)
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        return make_link(user)

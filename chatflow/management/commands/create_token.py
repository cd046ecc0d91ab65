from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import EmailField

from chatflow.access.tokens import DAYS, MOST_DAYS, TooManyTokens, make_token
from chatflow.management.users import create_user
from chatflow.models import Token
from chatflow.operations.audit import record_at_terminal
from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.management.console import whole_number
from chatflow.workflows.users import find_user

NAME_LENGTH: int = Token._meta.get_field("name").max_length


class Command(DatabaseCommand):
    help = "Make a Bearer token; it's the last line of the output, and can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--create", action="store_true", help="Make the user if need be.")
        parser.add_argument(
            "--days",
            type=whole_number(1, MOST_DAYS),
            default=DAYS,
            metavar="N",
            help=f"How long it lives ({DAYS}); at most {MOST_DAYS}.",
        )
        parser.add_argument("--name", default="", help="What its owner knows it by.")
        parser.add_argument("--scope", choices=Token.Scope.values, default="all")
        parser.add_argument("--workflow", default="", help="The only one that it is for.")
        parser.add_argument(
            "--replace", action="store_true", help="Revoke those of the same name first."
        )

    def handle(
        self, *args: Any, username: str, create: bool, days: int, replace: bool, **options: Any
    ) -> str:
        with atomic():
            if len(options["name"]) > NAME_LENGTH:
                raise CommandError(f"--name must have at most {NAME_LENGTH} characters.")
            user = find_user(username)
            if user is None and not create:
                raise CommandError(f"There is no user {username!r}; --create makes one.")
            if user is None:
                _check_address(username)
                user = create_user(username)
            if replace:
                Token.objects.filter(user=user, name=options["name"]).delete()
            limits = {name: options[name] for name in ("name", "scope", "workflow")}
            try:
                row, token = make_token(user, days=days, **limits)
            except (UnknownWorkflow, TooManyTokens) as error:
                raise CommandError(str(error)) from error
            record_at_terminal(row, "Make a token", outcome=f"For user {user.pk}.")
            return token


def _check_address(name: str) -> None:
    """Refuse a typo where people sign in with an e-mail address: it would be one more user."""
    users = get_user_model()
    field = users._meta.get_field(users.USERNAME_FIELD)
    if isinstance(field, EmailField):
        try:
            field.run_validators(name)
        except ValidationError as error:
            raise CommandError(f"{name!r} can't sign in: {error.messages[0]}") from None

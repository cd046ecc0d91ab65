from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models.functions import Now
from knox.models import AuthToken

from chatflow.management.users import create_user
from workflows import clock
from workflows.users import find_user


class Command(BaseCommand):
    help = "Make a Bearer token; it's the last line of the output, and can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--create", action="store_true", help="Make the user if need be.")
        parser.add_argument("--days", type=int, default=30, help="How long it lives (30).")

    def handle(self, *args: Any, username: str, create: bool, days: int, **options: Any) -> str:
        if days < 1:
            raise CommandError("--days must be at least 1.")
        user = find_user(username)
        if user is None and not create:
            raise CommandError(f"There is no user {username!r}; --create makes one.")
        if user is None:
            user = create_user(username)
        AuthToken.objects.filter(user=user, expiry__lt=Now()).delete()
        # Knox counts from this host's present, the token lives by the database's.
        lifetime = timedelta(days=days, seconds=-clock.skew())
        _, token = AuthToken.objects.create(user, expiry=lifetime)
        return str(token)

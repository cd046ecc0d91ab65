from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from knox.models import AuthToken


class Command(BaseCommand):
    help = "Make a Bearer token; it's the last line of the output, and can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--create", action="store_true", help="Make the user if need be.")
        parser.add_argument("--days", type=int, default=30, help="How long it lives (30).")

    def handle(self, *args: Any, username: str, create: bool, days: int, **options: Any) -> str:
        if days < 1:
            raise CommandError("--days must be at least 1.")
        users = get_user_model().objects
        user = users.filter(username=username).first()
        if user is None and not create:
            raise CommandError(f"There is no user {username!r}; --create makes one.")
        if user is None:
            user = users.create_user(username)
        AuthToken.objects.filter(user=user, expiry__lt=timezone.now()).delete()
        _, token = AuthToken.objects.create(user, expiry=timedelta(days=days))
        return str(token)

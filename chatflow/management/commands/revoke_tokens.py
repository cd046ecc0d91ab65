from argparse import ArgumentParser
from typing import Any

from django.db.models.functions import Now

from chatflow.management.users import get_user
from chatflow.models import Access, Token
from chatflow.operations.audit import record_at_terminal
from chatflow.workflows.commands import DatabaseCommand


class Command(DatabaseCommand):
    help = "Take back a user's Bearer tokens and signed links; open streams end within seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> str:
        user = get_user(username)
        Access.objects.update_or_create(user=user, defaults={"links_valid_from": Now()})
        count, _ = Token.objects.filter(user=user).delete()
        tokens = f"{count} token{'' if count == 1 else 's'}"
        record_at_terminal(user, "Revoke tokens", outcome=f"{tokens} and every link.")
        return f"Revoked {tokens} and every link of {username}."

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from chatflow.management.users import create_user
from workflows.users import find_user


class Command(BaseCommand):
    help = (
        "Make the demo's users, demo and admin; each one's password is its name. Read the "
        "project's own documentation, for the chat to answer from."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if find_user("demo") is None:
            create_user("demo", password="demo")
        if find_user("admin") is None:
            create_user("admin", password="admin", superuser=True)
        documentation = [settings.BASE_DIR / "README.md", settings.BASE_DIR / "docs"]
        call_command("ingest", *documentation, prune=True, stdout=self.stdout)

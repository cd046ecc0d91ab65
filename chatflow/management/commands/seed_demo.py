from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Make the demo's users, demo and admin; each one's password is its name. Read the "
        "project's own documentation, for the chat to answer from."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        if not users.filter(username="demo").exists():
            users.create_user("demo", password="demo")
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", password="admin")
        documentation = [settings.BASE_DIR / "README.md", settings.BASE_DIR / "docs"]
        call_command("ingest", *documentation, prune=True, stdout=self.stdout)

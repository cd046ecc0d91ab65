from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Make the demo's users, demo and admin; each one's password is its name."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        if not users.filter(username="demo").exists():
            users.create_user("demo", password="demo")
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", password="admin")

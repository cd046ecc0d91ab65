import secrets
from argparse import ArgumentParser
from os.path import realpath
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from chatflow.management.users import create_user
from chatflow.project.site_checks import is_known
from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.knowledge.management.commands.ingest import below
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.users import find_user

DEMO = ("demo", "admin")


class Command(DatabaseCommand):
    help = (
        "Make the demo's users, demo and admin, and print their passwords, which are kept nowhere. "
        "Where there are other users, nobody is made. Read the project's own documentation, for "
        "the chat to answer from."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-users", action="store_true", help="Make nobody: others can reach this site."
        )

    def handle(self, *args: Any, no_users: bool, **options: Any) -> None:
        for name in DEMO:
            user = find_user(name)
            if user is not None and is_known(user):
                self.renew(user, name)
            elif user is None and not no_users and not has_others():
                password = make_password()
                create_user(name, password=password, superuser=name == "admin")
                self.tell(name, password)
        pages = list_documentation(settings.BASE_DIR)
        call_command("ingest", *pages, prune=True, stdout=self.stdout)
        forget_others(pages, settings.BASE_DIR / "docs")

    def renew(self, user: Any, name: str) -> None:
        """Take a password away that everybody knows: `make demo` once gave it."""
        password = make_password()
        user.set_password(password)
        user.save()
        self.tell(name, password)

    def tell(self, name: str, password: str) -> None:
        # bin/demo reads this, and tells it whatever comes then.
        self.stdout.write(f"The password of {name} is {password}")
        self.stdout.flush()


def list_documentation(root: Path) -> list[Path]:
    """Return what the demo answers from: not the pages that speak in other products' words."""
    pages = sorted((root / "docs").iterdir())
    return [root / "README.md", *(page for page in pages if page.name != "coming-from")]


def forget_others(pages: list[Path], folder: Path) -> None:
    """Forget what was read below a folder, and is none of the pages now, nor in one of them."""
    read, kept = (below(list(map(Path, map(realpath, paths)))) for paths in ([folder], pages))
    Document.objects.owned_by(None, "").filter(read).exclude(kept).delete()


def has_others() -> bool:
    """Return whether the database has users beside the demo's."""
    users = get_user_model()
    return users._default_manager.exclude(**{f"{users.USERNAME_FIELD}__in": DEMO}).exists()


def make_password() -> str:
    return secrets.token_hex(8)

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatflow.development import SiteFailed
from chatflow.development.addresses import bind
from chatflow.development.site import Site
from chatflow.development.words import say
from chatflow.project import stream_checks


class Command(BaseCommand):
    help = "Run the web server and the cluster, and replace both at each edit of the code."
    # The servers' own, each time that they load it.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Default: 127.0.0.1.")
        parser.add_argument("--port", type=int, default=8000, help="Default: 8000.")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        manage = Path(sys.argv[0]).resolve()
        try:
            site = Site(
                root=manage.parent,
                manage=manage.name,
                application=find_application(),
                env_file=Path(os.environ.get("ENV_FILE") or manage.parent / ".env"),
                host=host,
                sockets=bind(host, port),
                environment=dict(os.environ),
            )
            site.run(lambda _: None, lambda _: say(f"Chatflow is ready: {site.url}"))
        except SiteFailed as error:
            raise CommandError(str(error)) from error


def find_application() -> str:
    """Return the project's ASGI application as uvicorn has it.

    Raises:
        CommandError: the settings name none, and there is none beside the addresses.
    """
    named = stream_checks.find_application()
    if not named:
        raise CommandError('Write ASGI_APPLICATION = "mysite.asgi.application" into the settings.')
    module, _, name = named.rpartition(".")
    return f"{module}:{name}"

import os
from typing import Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware
from django.apps import apps
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import CommandParser
from django.core.management.commands import runserver
from django.core.servers.basehttp import get_internal_wsgi_application
from django.db import connections
from django.utils import autoreload
from django.utils.module_loading import import_string

from chatflow.serving.front import Front
from chatflow.serving.site import Site
from chatflow.wire.asgi_types import Application


class Command(runserver.Command):
    help = "Start the development server, with live streams."
    addr: str
    port: str

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        if apps.is_installed("django.contrib.staticfiles"):
            parser.add_argument(
                "--nostatic",
                action="store_false",
                dest="use_static_handler",
                help="Serve no static files.",
            )
            parser.add_argument(
                "--insecure",
                action="store_true",
                dest="insecure_serving",
                help="Serve static files also without DEBUG.",
            )

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Serve the project's application through uvicorn, after the checks that Django makes."""
        autoreload.raise_last_exception()
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()
        try:
            config = uvicorn.Config(
                application(**options),
                http="chatflow.door:Door",
                host=self.addr,
                port=int(self.port),
            )
            uvicorn.Server(config).run()
        except SystemExit as failed:
            # In the reloader's thread an exit would end the thread only.
            os._exit(failed.code if isinstance(failed.code, int) else 1)
        except KeyboardInterrupt:
            pass


def application(
    use_static_handler: bool = False, insecure_serving: bool = False, **options: Any
) -> Application:
    """Return the project's application, with its streams, and its static files if it's to be.

    Args:
        use_static_handler: serve static files while developing.
        insecure_serving: serve them without DEBUG too.
        options: the command's other ones.
    """
    found = _own()
    if not isinstance(found, Front):
        found = Front(found)
    is_served = use_static_handler and (settings.DEBUG or insecure_serving)
    # This site's own serves its files by itself.
    if isinstance(found, Site) or not is_served:
        return found
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    handler: Any = ASGIStaticFilesHandler
    return cast(Application, handler(found))


def _own() -> Any:
    """Return the project's ASGI application, or else its WSGI application as one."""
    if named := getattr(settings, "ASGI_APPLICATION", None):
        return import_string(named)
    wsgi: Any = get_internal_wsgi_application()
    # Django's own is there as ASGI too, where also the other protocols' streams work.
    return get_asgi_application() if type(wsgi) is WSGIHandler else WSGIMiddleware(wsgi)

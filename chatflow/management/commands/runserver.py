import os
from typing import Any

import uvicorn
from django.core.management.commands import runserver
from django.db import connections
from django.utils import autoreload


class Command(runserver.Command):
    help = "Start the development server, with live streams."
    addr: str
    port: str

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Serve chatflow.asgi through uvicorn, after the same checks as Django's own."""
        autoreload.raise_last_exception()
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()
        config = uvicorn.Config(
            "chatflow.asgi:application",
            http="chatflow.door:Door",
            host=self.addr,
            port=int(self.port),
        )
        server = uvicorn.Server(config)
        try:
            server.run()
        except SystemExit as failed:
            # In the reloader's thread an exit would end the thread only.
            os._exit(failed.code if isinstance(failed.code, int) else 1)
        except KeyboardInterrupt:
            pass

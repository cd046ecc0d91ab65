"""Served as Chatflow serves: ``uvicorn bench.peers.bare_view.asgi:application``."""

import os
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.bare_view.settings")

# As many threads as WEB_THREADS has by default.
application: Any = WSGIMiddleware(get_wsgi_application(), workers=16, send_queue_size=0)  # type: ignore[arg-type]

"""Served as Chatflow serves: ``uvicorn bench.peers.bare_view.asgi:application``."""

import os
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.bare_view.settings")

wsgi = get_wsgi_application()

# It imports models, which the line above has made ready.
from chatflow.serving.pool import Pool  # noqa: E402

# As many threads as WEB_THREADS has by default.
pool = Pool(wsgi, 16)


async def application(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    message = await receive()
    assert not message.get("more_body")
    await pool.answer(scope, message["body"], send)

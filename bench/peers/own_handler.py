"""Chatflow under Django's own ASGI handler: ``uvicorn bench.peers.own_handler:application``."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")

application = get_asgi_application()

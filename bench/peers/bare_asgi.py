"""Django without any application of its own: ``uvicorn bench.peers.bare_asgi:application``."""

from django.core.asgi import get_asgi_application

application = get_asgi_application()

"""Everything but the streams, for a WSGI server; see asgi.py for the whole."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")

application = get_wsgi_application()

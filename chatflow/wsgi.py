"""Everything but the streams, for a WSGI server; see asgi.py for the whole."""

import os

import django
from django.apps import apps
from django.core.handlers.wsgi import WSGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")

if not apps.ready:
    # Once more it would undo what asgi.py's start has made of the logging: development/terminal.py.
    django.setup(set_prefix=False)

application = WSGIHandler()

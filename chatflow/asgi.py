"""The ASGI application: ``uvicorn chatflow.asgi:application``. See web.py."""

import os

import django
from django.core.management.base import BaseCommand

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")
django.setup()
# As manage.py does before it starts anything: a wrong configuration is said, with a hint.
BaseCommand().check()

# It reaches the models, which can't be imported before.
from chatflow.web import application  # noqa: E402

__all__ = ["application"]

"""What an ASGI server is given: ``uvicorn chatflow.asgi:application``. See web.py."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")
django.setup()

# It reaches the models, which can't be imported before.
from chatflow.web import application  # noqa: E402

__all__ = ["application"]

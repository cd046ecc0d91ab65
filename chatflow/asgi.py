"""The ASGI application: ``uvicorn chatflow.asgi:application``. See serving/site.py."""

import os
import sys
from contextlib import nullcontext

from chatflow.workflows.loading import deferred, uncollected, without


def _load_rest_framework() -> None:
    """Load it, and what describes its views, without what they have for tests; and, where all is
    in SQLite, without PostgreSQL's fields, whose driver takes a while.
    """
    from django.db import connections

    on_sqlite = all(each.vendor == "sqlite" for each in connections.all())
    fields = without("django.contrib.postgres.fields") if on_sqlite else nullcontext()
    with without("requests"), fields:
        import rest_framework.compat  # noqa: F401
    with deferred("rest_framework.test"):
        import drf_spectacular.plumbing  # noqa: F401


with uncollected():
    import django
    from django.core.management.base import BaseCommand

    from chatflow.startup import describe

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")
    try:
        django.setup()
        _load_rest_framework()
        # As manage.py does before it starts anything: a wrong configuration is said, with a hint.
        # The databases may be away: Django 6.1 would ask them all, unless it's told to ask none.
        BaseCommand().check(databases=[])
    except Exception as error:
        told = describe(error)
        if told is None:
            raise
        sys.exit(f"chatflow: {told}")

    # It reaches the models, which can't be imported before.
    from chatflow.serving.site import Site
    from chatflow.wsgi import application as wsgi

    application = Site(wsgi)

"""The tasks of Django's own interface, django.tasks, run by the cluster.

The interface comes with Django 6, and as the package django-tasks for those before it. A project
needs neither: nothing imports this room's modules but ``TASKS`` and a worker that has such a task.
"""

from django.conf import settings
from django.utils.module_loading import import_string


def is_used() -> bool:
    """Say whether one of ``TASKS`` is this room's backend.

    Raises:
        ImportError: one of them is not there.
    """
    configured = getattr(settings, "TASKS", None)
    if not configured:
        return False
    from chatflow.workflows.tasks.backend import Backend

    return any(issubclass(import_string(each["BACKEND"]), Backend) for each in configured.values())

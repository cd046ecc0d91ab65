"""The tasks of Django's own interface, django.tasks, run by the cluster.

The interface comes with Django 6, and as the package django-tasks for those before it. A project
needs neither: nothing imports this room's modules unless there are ``TASKS``.
"""

from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from chatflow.workflows.tasks.interface import BaseTaskBackend


def is_used() -> bool:
    """Say whether the cluster is to run tasks."""
    return bool(_backends())


def queues() -> set[str]:
    """Return the names of the queues that the cluster's tasks may wait in."""
    return set().union(*(backend.queues for backend in _backends()))


def _backends() -> "list[BaseTaskBackend]":
    if not getattr(settings, "TASKS", None):
        return []
    from chatflow.workflows.tasks.backend import Backend
    from chatflow.workflows.tasks.interface import task_backends

    return [backend for backend in task_backends.all() if isinstance(backend, Backend)]

"""Which functions django-q2 may call: those of TASK_FUNCTIONS.

A schedule, a task and a hook name theirs in a row of the database, by text. Whoever can write such
a row, as in the admin, could call anything that can be imported.
"""

import logging
from typing import Any, NoReturn

from django.db.models.signals import post_save
from django_q.models import Task
from django_q.signals import call_hook
from django_q.utils import get_func_repr

from chatflow.conf import conf

logger = logging.getLogger(__name__)


class NotAllowed(Exception):
    """TASK_FUNCTIONS doesn't name the function."""


class Refusal:
    """Stands where a function isn't allowed: the task fails, and says why."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotAllowed(f"{self.name} is not one of TASK_FUNCTIONS, and was not called.")


def is_allowed(function: Any) -> bool:
    """Return whether a function may be called.

    Args:
        function: it, or its dotted name.
    """
    return get_func_repr(function) in conf.TASK_FUNCTIONS


def restrict(task: dict[str, Any]) -> dict[str, Any]:
    """Return the task with a refusal in the place of a function that isn't allowed."""
    function = task["func"]
    return task if is_allowed(function) else task | {"func": Refusal(get_func_repr(function))}


def call_allowed_hook(sender: Any, instance: Task, **kwargs: Any) -> None:
    """Call the hook of a task that has been stored, if that is allowed."""
    if not instance.hook:
        return
    if is_allowed(instance.hook):
        call_hook(sender, instance, **kwargs)
    else:
        logger.error("%s is not one of TASK_FUNCTIONS, and was not called.", instance.hook)


def guard_hooks() -> None:
    """Put call_allowed_hook() in the place of django-q2's own receiver."""
    post_save.disconnect(call_hook, sender=Task)
    post_save.connect(call_allowed_hook, sender=Task)

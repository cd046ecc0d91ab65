"""Arguments and results in django-q2's table of tasks: pickles that are signed.

Reading a pickle can run any code. django-q2 signs the messages of its queue, but not these, and
reads them whenever a row is looked at, as in the admin.
"""

from typing import Any

from django.core.signing import BadSignature, Signer
from django_q.models import Task
from picklefield.fields import PickledObjectField  # type: ignore[import-untyped]

SALT = "chatflow.task"


class Unread:
    """A value that isn't read, as none of the site's keys has signed it."""

    def __init__(self, text: str) -> None:
        # As it is stored.
        self.text = text

    def __str__(self) -> str:
        return "(not read: it isn't signed)"


class SignedPickles(PickledObjectField):  # type: ignore[misc]
    """Writes signed pickles, and reads no others. For migrations it is the field that it was."""

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "picklefield.fields.PickledObjectField", args, kwargs

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        try:
            pickled = Signer(salt=SALT).unsign(value)
        except BadSignature:
            return Unread(value)
        return super().to_python(pickled)

    def to_python(self, value: Any) -> Any:
        """Return the value as it is: from elsewhere than the database it comes as an object."""
        return value

    def get_db_prep_value(self, value: Any, connection: Any = None, prepared: bool = False) -> Any:
        if value is None:
            return None
        if isinstance(value, Unread):
            return value.text
        return Signer(salt=SALT).sign(super().get_db_prep_value(value, connection, prepared))


def sign_pickles() -> None:
    """Turn the fields of django-q2's tasks into SignedPickles."""
    for field in Task._meta.local_fields:
        if type(field) is PickledObjectField:
            field.__class__ = SignedPickles


def is_read(task: Task) -> bool:
    """Return whether the task's arguments are known."""
    return not any(isinstance(value, Unread) for value in (task.args, task.kwargs))

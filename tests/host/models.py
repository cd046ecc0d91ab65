"""A team's models, with names for the rows of a user that are as plain as any."""

from typing import Any

from django.conf import settings
from django.db import models


def of_a_user(name: str) -> Any:
    return models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name=name)


class Work(models.Model):
    """Each has a name that a model of Chatflow once had on users."""

    worker = of_a_user("jobs")
    reader = of_a_user("documents")
    talker = of_a_user("chat_sessions")
    decider = of_a_user("approval_requests")
    owner = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="access")

    def __str__(self) -> str:
        return "work"

"""The operator's room: workflows of every outcome, a conversation, and the staff."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import QuerySet
from django.test import Client

from chatflow.workflows import registry
from tests.workflows.conftest import (  # noqa: F401
    _every_word_by_itself,
    chat,
    outcomes,
    server,
    unkept,
)
from tests.workflows.tasks import errands
from tests.workflows.tasks.conftest import TASKS


@pytest.fixture(autouse=True)
def flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register none but those of `outcomes`; what a test registers is gone after it."""
    monkeypatch.setattr(registry, "_workflows", dict(registry._workflows))


@pytest.fixture
def tasks(settings: Any) -> None:
    """Run Django's tasks in the cluster."""
    settings.TASKS = TASKS
    errands.done.clear()


def permissions(*codenames: str) -> QuerySet[Permission]:
    """Return permissions such as ``view_job``."""
    return Permission.objects.filter(codename__in=codenames)


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Return what signs in a member of staff with permissions such as ``view_job``."""

    def sign_in(*codenames: str) -> Client:
        user = User.objects.create(username=f"staff-{uuid4().hex[:8]}", is_staff=True)
        user.user_permissions.set(permissions(*codenames))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser."""
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client

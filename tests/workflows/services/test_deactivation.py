"""A deactivated user's work stops."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from chatflow.workflows.cluster.supervisor import Supervisor
from chatflow.workflows.models import Job, State
from chatflow.workflows.services.deactivation import CODE, stop_work
from tests.workflows.chat import Chat, claimed

pytestmark = pytest.mark.django_db(transaction=True)


def by_saving(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def by_a_proxy(user: User) -> None:
    class Person(User):
        class Meta:
            app_label = "tests"
            proxy = True

    by_saving(Person.objects.get(pk=user.pk))


def behind_the_signal(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert stop_work() == 2


@pytest.mark.parametrize("deactivate", [by_saving, by_a_proxy, behind_the_signal])
def test_queued_and_running_work_stops(
    chat: Chat, bob: User, deactivate: Callable[[User], None]
) -> None:
    chat.send()
    running = claimed()
    waiting = chat.send()
    his = Chat(bob).send()
    deactivate(chat.user)
    for job in (running, waiting, his):
        job.refresh_from_db()
    # Its worker obeys, as it does to its user.
    assert (running.state, running.cancel_code) == (State.PROCESSING, CODE)
    assert (waiting.state, waiting.code) == (State.CANCELLED, CODE)
    assert waiting.error == "The account was deactivated."
    assert his.state == State.QUEUED
    # Once is enough.
    assert stop_work() == 0


def test_nobody_is_stopped_by_other_changes(chat: Chat) -> None:
    job = chat.send()
    chat.user.first_name = "Alice"
    chat.user.save()
    get_user_model().objects.create(username="new", is_active=False)
    assert stop_work() == 0
    assert Job.objects.get().state == State.QUEUED == job.state


def test_the_cluster_looks_by_itself(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    job = chat.send()
    User.objects.update(is_active=False)
    cluster: Any = Supervisor(workers=1)
    cluster.do_chores()
    job.refresh_from_db()
    assert job.code == CODE

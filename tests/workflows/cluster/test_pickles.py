"""Pickles in django-q2's table of tasks: only signed ones are read."""

from base64 import b64encode
from collections.abc import Callable
from pickle import dumps
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_q.models import Failure, OrmQ, Task

from chatflow.workflows.cluster.pickles import Unread, is_read
from tests.configure import configure

pytestmark = pytest.mark.django_db

called: list[str] = []


class Bomb:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return called.append, ("boom",)


def make_task(name: str = "a", **fields: Any) -> Task:
    now = timezone.now()
    fields = {"func": "team.f", "success": False, **fields}
    return Task.objects.create(id=name * 32, name=name, started=now, stopped=now, **fields)


def plant(task: Task) -> str:
    """Write an unsigned pickle, as whoever has the database could."""
    raw = b64encode(dumps(Bomb())).decode()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_q_task SET args = %s, result = %s WHERE id = %s", [raw, raw, task.pk]
        )
    return raw


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    called.clear()


def test_it_works() -> None:
    task = make_task(args=(1, "two"), kwargs={"three": 3}, result={"four": [4]})
    task.refresh_from_db()
    assert (task.args, task.kwargs, task.result) == ((1, "two"), {"three": 3}, {"four": [4]})
    assert is_read(task)
    assert Task.get_result(task.pk) == {"four": [4]}
    assert make_task("b").args is None


def test_an_unsigned_pickle_is_not_read() -> None:
    task = make_task(args=(1,))
    raw = plant(task)
    task.refresh_from_db()
    assert called == []
    assert isinstance(task.args, Unread)
    assert not is_read(task)
    # Saving leaves it as it is.
    task.success = True
    task.save()
    task.refresh_from_db()
    assert isinstance(task.args, Unread)
    assert task.args.text == raw


def test_a_changed_pickle_is_not_read() -> None:
    task = make_task(args=(1,))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_q_task SET args = 'gASVBAAAAAAAAABLAYWULg==' || args")
    task.refresh_from_db()
    assert isinstance(task.args, Unread)


def test_a_rotated_key(settings: Any) -> None:
    task = make_task(args=(1,))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    task.refresh_from_db()
    assert task.args == (1,)


def test_staff_may_look_at_failed_tasks(admin_client: Client) -> None:
    task = make_task(args=(1,))
    plant(task)
    for path in ("", f"{task.pk}/change/"):
        page = admin_client.get(f"/admin/django_q/failure/{path}")
        assert page.status_code == 200
        assert "isn&#x27;t signed" in page.content.decode()
    assert called == []


def test_tasks_with_unread_arguments_are_not_resubmitted(admin_client: Client) -> None:
    planted, good = make_task("a", args=(1,)), make_task("b", args=(2,), kwargs={})
    plant(planted)
    form = {"action": "resubmit", "_selected_action": [planted.pk, good.pk]}
    page = admin_client.post("/admin/django_q/failure/", form, follow=True)
    assert "Some tasks were left" in page.content.decode()
    assert Failure.objects.get() == planted
    assert OrmQ.objects.count() == 1
    assert called == []


def test_no_migration_is_missing(db: None) -> None:
    call_command("makemigrations", "django_q", check=True, dry_run=True)


def test_schedules_are_offered_allowed_functions(
    admin_client: Client, admin_user: User, settings: Any
) -> None:
    url = "/admin/django_q/schedule/add/"
    configure(settings, TASK_FUNCTIONS=[])
    assert admin_client.get(url).status_code == 403
    configure(settings, TASK_FUNCTIONS=["team.tasks.report"])
    assert '<option value="team.tasks.report">' in admin_client.get(url).content.decode()
    form = {"func": "os.system", "args": "'id'", "schedule_type": "O", "repeats": "-1"}
    form |= {"next_run_0": "2026-01-01", "next_run_1": "12:00"}
    page = admin_client.post(url, form)
    assert "is not one of the available choices" in page.content.decode()
    assert admin_client.post(url, form | {"func": "team.tasks.report"}).status_code == 302

"""Tasks, for the staff."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from chatflow.workflows.models import TaskRun
from tests.workflows.tasks import errands

pytestmark = pytest.mark.usefixtures("tasks")

LIST = "admin:chatflow_workflows_taskrun_changelist"


@pytest.fixture
def staff(alice: User) -> Client:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client = Client()
    client.force_login(alice)
    return client


def test_it_works(staff: Client) -> None:
    result = errands.add.enqueue(1, second=2)
    errands.fail.enqueue("no")
    path = "tests.workflows.tasks.errands.add"
    for query in ({"q": result.id}, {"q": path}, {"status": "READY", "q": path}):
        page = staff.get(reverse(LIST), query).content.decode()
        assert result.id in page
        assert "errands.fail" not in page
    assert result.id not in staff.get(reverse(LIST), {"status": "FAILED"}).content.decode()


def test_nothing_can_be_changed(staff: Client) -> None:
    errands.add.enqueue(1)
    row = reverse("admin:chatflow_workflows_taskrun_change", args=[TaskRun.objects.get().pk])
    assert staff.get(row).status_code == 200
    assert staff.post(row, {"path": "os.getcwd"}).status_code == 403
    assert staff.get(reverse("admin:chatflow_workflows_taskrun_add")).status_code == 403

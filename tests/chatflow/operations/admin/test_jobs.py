"""What an operator sees and may do in the admin."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatflow.workflows import services
from chatflow.workflows.models import Cluster, Event, Job
from tests.configure import configure
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

JOBS = "/admin/chatflow_workflows/job/"
SESSIONS = "/admin/chatflow_workflows/session/"
READ_ONLY = ["job", "session", "cluster"]


def page(client: Client, url: str, **query: str) -> str:
    response = client.get(url, query)
    assert response.status_code == 200
    return response.content.decode()


def url_of(job: Job) -> str:
    return reverse("admin:chatflow_workflows_job_change", args=(job.pk,))


def test_more_rows_take_no_more_queries(boss: Client, chat: Chat, bob: User) -> None:
    job = chat.say(workflow="echo")
    session = reverse("admin:chatflow_workflows_session_change", args=(job.session_id,))
    urls = (JOBS, SESSIONS, url_of(job), session)

    def count() -> list[int]:
        counts = []
        for url in urls:
            # The first time some of Django's own caches are filled.
            page(boss, url)
            with CaptureQueriesContext(connection) as queries:
                page(boss, url)
            counts.append(len(queries))
        return counts

    first = count()
    for number in range(20):
        Event.objects.create(job=job, seq=100 + number, type="delta", progress=1, attempt=1)
        chat.say(workflow="echo")
        Chat(bob, f"s{number}").say(workflow="ask")
    assert count() == first


def test_a_job_s_page_links_to_its_relations(boss: Client, chat: Chat) -> None:
    failed = chat.say(workflow="fail")
    new = services.retry(failed)
    assert f'href="{url_of(failed)}"' in page(boss, url_of(new))
    assert f'href="{url_of(new)}"' in page(boss, url_of(failed))


def test_a_cluster_is_alive_or_not(boss: Client) -> None:
    for pid, seen_at in ((1, timezone.now()), (2, timezone.now() - timedelta(minutes=1))):
        Cluster.objects.create(host="here", pid=pid, workers=2, seen_at=seen_at)
    text = page(boss, "/admin/chatflow_workflows/cluster/")
    assert text.count("icon-yes") == text.count("icon-no") == 1


@pytest.mark.parametrize("model", READ_ONLY)
def test_nobody_adds_changes_or_deletes(boss: Client, chat: Chat, model: str) -> None:
    job = chat.say(workflow="echo")
    cluster = Cluster.objects.create(seen_at=timezone.now(), host="here", pid=1, workers=1)
    pk = {"job": job.pk, "session": job.session_id, "cluster": cluster.pk}[model]
    row = f"/admin/chatflow_workflows/{model}/{pk}"
    assert page(boss, f"{row}/change/")
    assert boss.get(f"/admin/chatflow_workflows/{model}/add/").status_code == 403
    assert boss.post(f"{row}/change/", {"host": "x", "key": "x", "text": "x"}).status_code == 403
    assert boss.post(f"{row}/delete/", {"post": "yes"}).status_code == 403


def test_the_view_permission_is_honoured(staff: Callable[..., Client], chat: Chat) -> None:
    job = chat.say(workflow="echo")
    assert staff().get(JOBS).status_code == 403
    assert staff().get(url_of(job)).status_code == 403
    viewer = staff("view_job")
    assert url_of(job) in page(viewer, JOBS)
    assert viewer.get(SESSIONS).status_code == 403
    assert viewer.get(url_of(job)).status_code == 200


def test_only_superusers_schedule_and_resubmit_code(
    boss: Client, staff: Callable[..., Client], settings: Any
) -> None:
    configure(settings, TASK_FUNCTIONS=["team.tasks.report"])
    url = "/admin/django_q/schedule/add/"
    clerk = staff("view_schedule", "add_schedule", "change_schedule", "view_failure")
    assert clerk.get(url).status_code == 403
    assert clerk.get("/admin/django_q/schedule/").status_code == 200
    assert boss.get(url).status_code == 200
    failures: Any = clerk.get("/admin/django_q/failure/")
    assert failures.status_code == 200
    assert failures.context["action_form"] is None

"""The overview: complete for the boss, and for others as far as they may view its rows."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatflow.operations import overview
from chatflow.operations.charts import Chart, Series
from chatflow.workflows import registry
from chatflow.workflows.models import Cluster, Figures, Job, TaskRun, TaskStatus
from chatflow.workflows.store.figures import Counting
from tests.workflows.chat import Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outcomes", "unkept")]

PAGE = "/admin/chatflow_workflows/figures/"
STREAM = f"{PAGE}stream"


@pytest.fixture
def busy(chat: Chat, alice: User) -> Job:
    """Jobs that ended, one that runs, one that waits where nobody serves."""
    process = {"worker": "", "pid": 4711, "is_async": False, "memory": 2**20, "blocked_at": 0}
    chat.say("my secret words", workflow="echo")
    chat.say(workflow="fail")
    Job.objects.update(usage={"requests": 1, "input_tokens": 1500, "output_tokens": 2})
    Counting().count()
    chat.send(workflow="echo")
    job = claimed()
    Cluster.objects.create(
        host="worker-host",
        pid=1,
        workers=1,
        seen_at=timezone.now(),
        queues=["default"],
        processes=[{**process, "worker": job.worker}],
    )
    waits = Chat(alice, "t").send(workflow="echo")
    Job.objects.filter(pk=waits.pk).update(queue="mail<script>")
    return job


def page(client: Client, path: str = PAGE) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


class Links(HTMLParser):
    """Gathers where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "a":
            self.found.append(dict(attrs)["href"])


@pytest.mark.parametrize("path", ["/admin/", PAGE])
def test_all_of_it(boss: Client, busy: Job, path: str) -> None:
    html = page(boss, path)

    assert "1 job waits in queue mail&lt;script&gt;, which nobody serves." in html
    assert html.index("which nobody serves") < html.index("The last hour") < html.index("Queues")
    assert "2, of which 1 failed" in html
    assert "1.5 k in" not in html
    assert "3.0 k in, 4 out" in html
    assert "worker-host" in html
    assert "4711" in html
    assert "1 MB" in html
    assert f"/admin/chatflow_workflows/job/{busy.pk}/change/" in html
    assert "my secret words" not in html
    assert "alice" not in html
    # The list of pages is there, too.
    assert f'href="{PAGE}"' in html


def test_each_link_leads_to_its_rows(boss: Client, busy: Job) -> None:
    links = [link for link in Links(page(boss)).found if "?queue=" in link]

    waits = Job.objects.get(state="queued")
    pages = [page(boss, link) for link in links]
    found = [
        [each.pk for each in Job.objects.all() if f"/job/{each.pk}/" in html] for html in pages
    ]
    assert found == [[waits.pk], [busy.pk], [waits.pk]]


def test_who_sees_what(staff: Callable[..., Client], busy: Job, db: None) -> None:
    nobody, jobs, all_but_tasks = staff(), staff("view_job"), staff("view_job", "view_cluster")
    TaskRun.objects.create(
        path="app.tasks.secret",
        backend="default",
        status=TaskStatus.RUNNING,
        worker=busy.worker,
        lease_until=timezone.now(),
    )
    assert nobody.get(PAGE).status_code == 403
    assert nobody.get(STREAM).status_code == 403
    assert Client().get(STREAM).status_code == 403
    assert Client().get(PAGE).status_code == 302
    index = page(nobody, "/admin/")
    assert "overview" not in index
    assert "Recent actions" in index
    html = page(jobs)
    assert "which nobody serves" in html
    assert "worker-host" not in html
    html = page(all_but_tasks)
    assert "worker-host" in html
    assert "secret" not in html
    assert "app.tasks.secret" in page(staff("view_job", "view_cluster", "view_taskrun"))


def test_without_anything(boss: Client) -> None:
    html = page(boss)

    assert "No cluster is alive. Nothing would be worked on." in html
    assert "No job has ended." in html


@pytest.mark.parametrize("over", ["hour", "day", "week", "", "century"])
def test_the_stretches_of_time(boss: Client, busy: Job, over: str) -> None:
    html = page(boss, f"{PAGE}?over={over}")

    assert f"The last {over if over in ('day', 'week') else 'hour'}" in html
    assert "2, of which 1 failed" in html


def test_no_event_loop(boss: Client) -> None:
    """Under WSGI the page looks again by itself."""
    assert boss.get(STREAM).status_code == 404


def test_figures_are_read_and_jobs_are_not_counted(boss: Client, busy: Job) -> None:
    """However many have ended: no query reads finished jobs."""
    with CaptureQueriesContext(connection) as queries:
        overview.look(list(overview.WORDS))
    about_jobs = [each["sql"] for each in queries if "workflows_job" in each["sql"]]
    assert len(about_jobs) == 4
    for sql in about_jobs:
        assert "'processing'" in sql, sql


def test_a_host_project_keeps_its_first_page(busy: Job, rf: Any, boss: Client) -> None:
    """Only this checkout's own site has it there: see site.py."""
    from django.contrib.admin import AdminSite

    request = rf.get("/admin/")
    request.user = User.objects.get(username="boss")
    response = AdminSite().index(request)
    response.render()
    assert b"which nobody serves" not in response.content


def test_a_chart() -> None:
    series = [Series("a<b", [1, 0, None]), Series("p95", [3, None, 2])]
    bars = Chart("k", "T<i>", "S", series, "4", ("x", "y")).svg()
    assert bars.count("<rect") == 3
    assert "T&lt;i&gt;" in bars
    assert "overview-a&lt;b" in bars
    lines = Chart("k", "T", "S", series, "3", ("x", "y"), is_stacked=False).svg()
    assert lines.count("<path") == 2
    # A gap is no line.
    assert lines.count("M") == 3
    empty = Chart("k", "T", "S", [Series("a", [])], "0", ("x", "y")).svg()
    assert "<rect" not in empty


def test_the_rows_have_no_pages(boss: Client, busy: Job) -> None:
    row = Figures.objects.first()
    assert row is not None
    assert boss.get(f"{PAGE}{row.pk}/change/").status_code == 404
    assert registry.all_workflows()

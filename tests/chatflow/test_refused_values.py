"""The admin and the values that no query takes: 400, and no 500."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.workflows.models import Job
from tests.chatflow.conftest import MakeJob

pytestmark = pytest.mark.django_db(transaction=True)

NUL = "%00"
JOBS = "/admin/chatflow_workflows/job/"
LISTS = [
    JOBS,
    "/admin/chatflow_workflows/session/",
    "/admin/chatflow_workflows/approvalrequest/",
    "/admin/chatflow_knowledge/document/",
]
PAGES = [
    f"/admin/{model}/{NUL}/{page}/"
    for model in ("chatflow/token", "chatflow_workflows/job", "django_q/failure", "auth/user")
    for page in ("change", "delete", "history")
]
QUERIES = [f"state={NUL}", f"id={NUL}", "id=x", f"id={10**30}", f"q={NUL}", "p=x"]
YEARS = [f"created_at__year={year}" for year in (99999, 0, -1, 10**20)]
MOMENTS = ["created_at__gte=0001-01-01T00:00:00%2B12:00", f"created_at__gte={NUL}"]


@pytest.fixture
def boss() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("page", PAGES)
def test_addresses(boss: Client, page: str) -> None:
    assert boss.get(page).status_code in (302, 400, 403, 404)


@pytest.mark.parametrize("page", LISTS)
def test_queries(boss: Client, page: str, alice: User, make_job: MakeJob) -> None:
    make_job(alice)
    for query in (*QUERIES, *YEARS, *MOMENTS):
        assert boss.get(f"{page}?{query}").status_code in (200, 302, 400), query
    for year in YEARS if page != JOBS else ():
        assert boss.get(f"{page}?{year}").status_code == 400, year


@pytest.mark.parametrize("query", ["state=lost", f"q={NUL}", YEARS[0], "id=1", MOMENTS[0]])
def test_the_list_of_jobs_finds_nothing_by_what_is_no_filter(
    boss: Client, query: str, alice: User, make_job: MakeJob
) -> None:
    job = make_job(alice)
    for each, shown in (("", True), (query, False)):
        text = boss.get(f"{JOBS}?{each}").content.decode()
        assert (f"/job/{job.pk}/change/" in text) == shown


@pytest.mark.parametrize("action", ["cancel", "retry", "forget", "delete_selected"])
@pytest.mark.parametrize("value", ["x", "\0", str(10**30), "", "1.5"])
def test_actions(boss: Client, action: str, value: str) -> None:
    for page in (*LISTS, "/admin/chatflow/token/", "/admin/auth/user/"):
        answer = boss.post(page, {"action": action, "_selected_action": value})
        assert answer.status_code in (200, 302, 400, 403), page


def test_a_refusal_is_logged_in_one_line(boss: Client, caplog: Any) -> None:
    answer = boss.get(f"{LISTS[1]}?{YEARS[0]}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")
    logged = [each for each in caplog.records if each.name == "chatflow.middleware"]
    assert [each.levelname for each in logged] == ["WARNING"]
    assert logged[0].exc_info is None


@pytest.mark.parametrize("error", [ValueError, OverflowError])
def test_faults_of_the_site_are_not_hidden(
    boss: Client, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*args: Any) -> str:
        raise error("A fault.")

    monkeypatch.setattr("chatflow.operations.admin.job_list_pages.JobList", fail)
    assert boss.get(LISTS[0]).status_code == 500


def test_elsewhere_it_stays_a_fault(anonymous: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> bool:
        return Job.objects.filter(pk="x").exists()

    monkeypatch.setattr("chatflow.endpoints.probes.migrated", fail)
    assert anonymous.get("/readyz").status_code == 500

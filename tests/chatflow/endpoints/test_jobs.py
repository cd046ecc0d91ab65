"""Jobs: status, cancel, retry, the list."""

from typing import Any
from unittest.mock import ANY

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.workflows.models import Job
from tests.chatflow.conftest import AGAIN, MakeJob
from tests.configure import configure

STATUS = "/ai-demo/workflow/status/"
CANCEL = "/ai-demo/workflow/cancel/"
RETRY = "/ai-demo/workflow/retry/"
JOBS = "/ai-demo/workflow/jobs"


def data(client: Client, job: Job) -> Any:
    answer = client.get(STATUS + job.public_id)
    assert answer.status_code == 200
    return answer.json()["data"]


# status


def test_status_of_a_queued_job(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    moments = {name: getattr(job, name).isoformat()[:23] for name in ("created_at", "updated_at")}
    found = data(as_alice, job)
    for name, moment in moments.items():
        assert found[name].startswith(moment[:19])
        assert found.pop(name).endswith("Z")
    assert found == {
        "job_id": job.public_id,
        "session_id": "s",
        "workflow": "echo",
        "status": "processing",
        "state": "queued",
        "progress": 0,
        "message": "Your request is being processed...",
        "attempt": 0,
        "last_event_id": 0,
        "queue_position": 1,
    }


def test_status_of_a_completed_job(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    job = run(make_job(alice))
    found = data(as_alice, job)
    assert (found["status"], found["state"], found["progress"]) == ("completed", "completed", 100)
    assert found["response"] == "You said: hello"
    assert found["actions"] == [{**AGAIN, "id": ANY}]
    assert found["sources"] == [{"title": "You"}]
    assert found["last_event_id"] == job.last_seq
    assert found["attempt"] == 1
    assert not {"error", "code", "awaiting", "queue_position", "usage", "metadata"} & set(found)


def test_status_of_a_question(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    found = data(as_alice, run(make_job(alice, workflow="ask")))
    assert found["status"] == "completed"
    assert found["awaiting"]["kind"] == "text"
    assert found["awaiting"]["prompt"] == found["response"]


def test_status_of_a_failed_job(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    found = data(as_alice, run(make_job(alice, workflow="fail")))
    assert (found["status"], found["code"]) == ("failed", "fire")
    assert found["error"] == "The printer is on fire."
    assert "response" not in found


# cancel


def test_cancel(as_alice: Client, alice: User, make_job: MakeJob) -> None:
    job = make_job(alice)
    first = as_alice.post(CANCEL + job.public_id)
    again = as_alice.post(CANCEL + job.public_id)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    found = first.json()["data"]
    assert (found["status"], found["state"], found["code"]) == ("failed", "cancelled", "cancelled")
    assert found["error"]


def test_cancel_after_the_end(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    job = run(make_job(alice))
    answer = as_alice.post(CANCEL + job.public_id)
    assert answer.status_code == 200
    assert answer.json()["data"]["state"] == "completed"


@pytest.mark.parametrize("url", [CANCEL, RETRY])
def test_verbs_are_posted(as_alice: Client, alice: User, make_job: MakeJob, url: str) -> None:
    answer = as_alice.get(url + make_job(alice).public_id)
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


# retry


def test_retry(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    failed = run(make_job(alice, workflow="fail"))
    answer = as_alice.post(RETRY + failed.public_id)
    assert answer.status_code == 202
    assert answer.json()["session_id"] == "s"
    assert Job.objects.get(public_id=answer.json()["job_id"]).retry_of == failed


def test_what_did_not_fail_is_not_retried(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    answer = as_alice.post(RETRY + run(make_job(alice)).public_id)
    assert answer.status_code == 409
    assert answer.json()["code"] == "not_retryable"


def test_retries_are_counted_too(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any, settings: Any
) -> None:
    configure(settings, RATE_LIMIT_SEND=(1, 60.0))
    failed = [run(make_job(alice, workflow="fail")).public_id for _ in range(2)]
    assert [as_alice.post(RETRY + job).status_code for job in failed] == [202, 429]


# jobs


def test_jobs(as_alice: Client, alice: User, bob: User, make_job: MakeJob) -> None:
    mine = [make_job(alice, session=str(number)).public_id for number in range(5)]
    make_job(bob)
    seen = []
    url = f"{JOBS}?limit=2"
    while url:
        page = as_alice.get(url).json()
        assert len(page["jobs"]) <= 2
        seen += [job["job_id"] for job in page["jobs"]]
        url = f"{JOBS}?limit=2&before={page['next']}" if page["next"] else ""
    assert seen == mine[::-1]


def test_jobs_of_one_moment_are_all_listed(
    as_alice: Client, alice: User, make_job: MakeJob
) -> None:
    mine = [make_job(alice, session=str(number)) for number in range(3)]
    Job.objects.update(created_at=mine[0].created_at)
    page = as_alice.get(f"{JOBS}?limit=1").json()
    rest = as_alice.get(f"{JOBS}?before={page['next']}").json()
    assert len({job["job_id"] for job in [*page["jobs"], *rest["jobs"]]}) == 3
    assert rest["next"] is None


def test_what_is_not_to_be_remembered_is_not_listed(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    for number, memory in enumerate([True, False]):
        options = {"memory": memory}
        run(make_job(alice, "my words", session=f"s{number}", workflow="ask", options=options))
        run(make_job(alice, "Ann", session=f"s{number}", workflow=None, options=options))
    listed = as_alice.get(JOBS).json()["jobs"]
    assert [job["text"] for job in listed] == ["", "", "my words", "my words"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=", "before=%00", "before="],
)
def test_wrong_pages(as_alice: Client, query: str) -> None:
    answer = as_alice.get(f"{JOBS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"


def test_a_page_after_somebody_elses_job(as_bob: Client, alice: User, make_job: MakeJob) -> None:
    assert as_bob.get(f"{JOBS}?before={make_job(alice).public_id}").status_code == 404

"""Pages of a list."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from chatflow.access.scopes import find_job, own_jobs
from chatflow.answers.paging import read_page
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Job
from tests.chatflow.conftest import MakeJob

pytestmark = pytest.mark.django_db


def read(user: User, **query: Any) -> tuple[list[str], str | None]:
    request = Request(APIRequestFactory().get("/", query))
    request.user = user
    page, last = read_page(request, own_jobs(request), find_job)
    return [job.text for job in page], last.public_id if last else None


@pytest.fixture
def jobs(alice: User, make_job: MakeJob) -> list[Job]:
    return [make_job(alice, str(number), session=str(number)) for number in range(3)]


def test_it_works(alice: User, jobs: list[Job]) -> None:
    assert read(alice, limit=2) == (["2", "1"], jobs[1].public_id)
    assert read(alice, limit=2, before=jobs[1].public_id) == (["0"], None)


def test_a_page_that_is_just_full_is_the_last(alice: User, jobs: list[Job]) -> None:
    assert read(alice, limit=3) == (["2", "1", "0"], None)
    assert read(alice, before=jobs[0].public_id) == ([], None)


def test_rows_of_one_moment(alice: User, jobs: list[Job]) -> None:
    Job.objects.update(created_at=jobs[0].created_at)
    seen, before = read(alice, limit=1)
    while before is not None:
        page, before = read(alice, limit=1, before=before)
        seen += page
    assert seen == ["2", "1", "0"]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"before": "\0"}])
def test_wrong_queries(alice: User, query: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(alice, **query)


def test_somebody_elses_row_is_no_mark(bob: User, jobs: list[Job]) -> None:
    with pytest.raises(JobNotFound):
        read(bob, before=jobs[0].public_id)

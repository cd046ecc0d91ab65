"""A user's tokens by the API."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.models import Token
from tests.conftest import Bearer

pytestmark = pytest.mark.django_db

URL = "/ai-demo/tokens"
JOBS = "/ai-demo/workflow/jobs"


@pytest.fixture
def signed_in(alice: User) -> Client:
    client = Client(headers={"Sec-Fetch-Site": "same-origin"}, raise_request_exception=False)
    client.force_login(alice)
    return client


def make(client: Client, **fields: Any) -> Any:
    return client.post(URL, {"name": "robot", **fields}, "application/json")


def test_it_works(signed_in: Client) -> None:
    answer = make(signed_in, scope="read", workflow="echo", days=7)
    assert answer.status_code == 201
    made = answer.json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert Client(headers=headers).get(JOBS).status_code == 200
    listed = signed_in.get(URL).json()["tokens"]
    assert [(each["id"], each["name"]) for each in listed] == [(made["token"]["id"], "robot")]
    assert (listed[0]["scope"], listed[0]["workflow"]) == ("read", "echo")
    assert listed[0]["last_used_at"] is not None
    assert "secret" not in listed[0]
    revoked = signed_in.delete(f"{URL}/{made['token']['id']}")
    assert revoked.json()["token"]["name"] == "robot"
    assert Client(headers=headers).get(JOBS).status_code == 401
    assert signed_in.get(URL).json()["tokens"] == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scope": "god"}, "scope"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"workflow": "nothing"}, "workflow"),
    ],
)
def test_wrong_fields(signed_in: Client, fields: dict[str, Any], wrong: str) -> None:
    answer = make(signed_in, **fields)
    assert answer.status_code == 400
    assert wrong in answer.json()["errors"]
    assert not Token.objects.exists()


def test_a_token_makes_no_token(as_alice: Client) -> None:
    assert make(as_alice).status_code == 403
    assert Token.objects.count() == 1


def test_a_page_of_another_site_makes_none(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post(
        URL, {"name": "x"}, "application/json", headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


def test_somebody_elses(as_alice: Client, bob: User, bearer: Bearer) -> None:
    bearer(bob)
    his = Token.objects.get(user=bob)
    assert as_alice.delete(f"{URL}/{his.public_id}").status_code == 404
    assert as_alice.delete(f"{URL}/a%00b").status_code == 404
    assert len(as_alice.get(URL).json()["tokens"]) == 1
    assert Token.objects.filter(user=bob).exists()


def test_nobody(anonymous: Client) -> None:
    assert anonymous.get(URL).status_code == 401
    assert make(anonymous).status_code == 401

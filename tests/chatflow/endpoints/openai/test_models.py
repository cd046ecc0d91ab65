"""GET /v1/models."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.models import Token
from tests.chatflow.endpoints.openai.conftest import Ask
from tests.configure import configure

pytestmark = pytest.mark.django_db


def test_the_workflows_are_models(ask: Ask, settings: Any) -> None:
    configure(settings, AI_ALLOWED_MODELS=["openai:gpt-x"])
    body = ask("models", method="GET").json()
    assert body["object"] == "list"
    names = [each["id"] for each in body["data"]]
    assert names[0] == "chatflow"
    assert {"echo", "talk", "openai:gpt-x"} < set(names)
    for name in names:
        shown = {"id": name, "object": "model", "created": 0, "owned_by": "chatflow"}
        assert ask(f"models/{name}", method="GET").json() == shown


@pytest.mark.parametrize("name", ["nope", "a/b", "%00"])
def test_there_is_no_such_model(ask: Ask, name: str) -> None:
    answer = ask(f"models/{name}", method="GET")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_a_token_for_one_workflow_sees_that_one(alice: User) -> None:
    _, token = Token.objects.create(alice, expiry=timedelta(hours=1), workflow="echo")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["echo"]
    assert client.get("/v1/models/talk").status_code == 404


def test_nobody_sees_none(anonymous: Client) -> None:
    answer = anonymous.get("/v1/models")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def test_what_is_not_there_is_answered_likewise(ask: Ask) -> None:
    answer = ask("nothing", method="GET")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"

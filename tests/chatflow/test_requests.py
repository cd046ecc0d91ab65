"""The id of a request: taken, made, given back."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow import requests
from chatflow.asgi import application
from tests.chatflow.exchange import Exchange


@pytest.mark.parametrize("given", ["abc-1.2:3_x", "0" * 64])
def test_a_good_one_is_taken(anonymous: Client, given: str) -> None:
    assert anonymous.get("/healthz", headers={"x-request-id": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "0" * 65, "a b", "a\tb", "é", "<b>", "a;b"])
def test_any_other_is_not(anonymous: Client, given: str) -> None:
    answer = anonymous.get("/healthz", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])
    assert requests.present_id() == ""


@pytest.mark.usefixtures("served")
async def test_the_front_gives_it_to_django_and_to_refused_streams() -> None:
    for path, status in (("/healthz", 200), ("/ai-demo/workflow/stream/workflow_1", 401)):
        async with Exchange(application, path, headers={"X-Request-ID": "mine"}) as exchange:
            assert await exchange.start() == status
            assert exchange.headers["x-request-id"] == "mine"


def test_a_user_is_known_when_somebody_has_asked(as_alice: Client, alice: User) -> None:
    found = as_alice.get("/ai-demo/workflow/jobs")
    assert requests.known_user(found.wsgi_request) == alice.pk
    assert requests.known_user(Client().get("/healthz").wsgi_request) is None

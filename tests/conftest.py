"""The cast: Alice owns, Bob is another user, Charlie may not enter."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from knox.models import AuthToken

Bearer = Callable[[User], dict[str, str]]


def make_user(name: str, **fields: Any) -> User:
    # A hash that costs nothing; signing in with the password isn't what most tests are about.
    user = get_user_model()(username=name, **fields)
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie", is_active=False)


@pytest.fixture
def bearer() -> Bearer:
    """Return a function that makes the headers of a call with a user's token."""

    def headers(user: User) -> dict[str, str]:
        _, token = AuthToken.objects.create(user, expiry=timedelta(hours=1))
        return {"Authorization": f"Bearer {token}"}

    return headers


@pytest.fixture
def as_alice(alice: User, bearer: Bearer) -> Client:
    """Return a client that calls with Alice's token."""
    return Client(headers=bearer(alice), raise_request_exception=False)


@pytest.fixture
def as_bob(bob: User, bearer: Bearer) -> Client:
    return Client(headers=bearer(bob), raise_request_exception=False)


@pytest.fixture
def anonymous() -> Client:
    return Client(raise_request_exception=False)

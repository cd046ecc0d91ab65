"""The cast: Alice owns, Bob is another user, Charlie may not enter."""

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client, TransactionTestCase

from chatflow.models import Token
from chatflow.operations.append_only import removing
from chatflow.operations.models import Act
from chatflow.serving.static_files import StaticFiles
from chatflow.workflows.ai.asides import close_loop
from chatflow.workflows.testing.time_travel import set_clock

# What teams are given for their own tests.
pytest_plugins = ["chatflow.workflows.testing.plugin"]

Bearer = Callable[[User], dict[str, str]]


@pytest.fixture(autouse=True)
def _let_go_of_providers() -> Iterator[None]:
    """Close what plain workflows keep open in this thread: the next test has other servers."""
    yield
    close_loop()


@pytest.fixture(scope="session", autouse=True)
def _read_certificates_once() -> Iterator[None]:
    """Let all clients share the certificates that httpx would read for each, in 30 ms.

    None of them needs any here. What others ask for, who may change it, is theirs.
    """
    create, shared = ssl.create_default_context, cache(ssl.create_default_context)

    def find(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        return (shared if "cafile" in kwargs else create)(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", find)
        yield


@pytest.fixture(scope="session", autouse=True)
def _find_static_files_once() -> Iterator[None]:
    """Let all test clients share the list of static files, which each would make in 10 ms."""
    listed: dict[str, dict[str, str]] = {}
    find = StaticFiles.add_files_from_finders

    def add(middleware: StaticFiles) -> None:
        key = repr((settings.STATIC_URL, settings.STATICFILES_DIRS, settings.INSTALLED_APPS))
        if key not in listed:
            find(middleware)
            listed[key] = dict(middleware._paths)
        middleware._paths.update(listed[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StaticFiles, "add_files_from_finders", add)
        yield


@pytest.fixture(scope="session", autouse=True)
def _delete_what_was_committed() -> Iterator[None]:
    """Delete the rows that a test has committed, and leave those that Django makes itself.

    Its own flush truncates all tables and makes these anew: that takes longer than most tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete_rows)
        yield


def delete_rows(test_case: TransactionTestCase) -> None:
    kept = {model._meta.db_table for model in (ContentType, Permission)}
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    deletes = [
        f"DELETE FROM {connection.ops.quote_name(table)}" for table in sorted(set(tables) - kept)
    ]
    # The log of acts lets none go otherwise.
    emptied = removing() if Act.objects.exists() else transaction.atomic()
    with emptied, connection.cursor() as cursor:
        # SQLite takes one at a time, and a round trip to a server takes as long as its work.
        for each in deletes if connection.vendor == "sqlite" else ["; ".join(deletes)]:
            cursor.execute(each)


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
        _, token = Token.objects.create(user, expiry=timedelta(hours=1))
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


@pytest.fixture(params=[-600, 600], ids=["behind", "ahead"])
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[float]:
    """Set this host's clock ten minutes off the database's, and return by how many seconds."""
    with set_clock(timedelta(seconds=request.param)):
        yield request.param

"""Signing in by password: how often, from where, and how many at once."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.db.models import F
from django.test import Client, RequestFactory

from chatflow import signins
from chatflow.models import Tally
from chatflow.signins import TooManySignIns
from tests.configure import configure

pytestmark = pytest.mark.django_db

PAGES = ["/accounts/login/", "/admin/login/"]


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    configure(settings, RATE_LIMIT_SIGN_IN=(3, 3600.0))


@pytest.fixture
def dora() -> User:
    return User.objects.create_superuser("dora", password="right")


def sign_in(
    password: str, *, name: str = "dora", page: str = PAGES[0], **headers: Any
) -> tuple[int, Any]:
    form = {"username": name, "password": password}
    answer = Client().post(page, form, **headers)
    return answer.status_code, answer


def try_often(times: int, **how: Any) -> list[int]:
    return [sign_in("wrong", **how)[0] for _ in range(times)]


@pytest.mark.parametrize("page", PAGES)
def test_every_door_is_throttled(dora: User, page: str) -> None:
    assert sign_in("right", page=page)[0] == 302
    assert try_often(4, page=page) == [200, 200, 200, 429]
    status, answer = sign_in("right", page=page)
    assert status == 429
    assert 3500 < int(answer["Retry-After"]) <= 3600
    assert answer["Retry-After"] == "3600"
    assert "Please try again in 60 minutes" in answer.content.decode()
    # By the other door as well.
    assert [sign_in("right", page=each)[0] for each in PAGES] == [429, 429]


def test_the_window_ends(dora: User) -> None:
    try_often(4)
    Tally.objects.update(ends_at=F("ends_at") - 3600)
    assert sign_in("right")[0] == 302


def test_right_passwords_are_not_counted(dora: User) -> None:
    assert [sign_in("right")[0] for _ in range(10)] == [302] * 10
    assert try_often(2) == [200, 200]
    assert sign_in("right")[0] == 302
    # From this address two were wrong all the same.
    assert try_often(2) == [200, 429]


def test_an_account_is_throttled_from_all_addresses(dora: User) -> None:
    for number in range(3):
        assert try_often(3, REMOTE_ADDR=f"192.0.2.{number}") == [200] * 3
    assert sign_in("wrong", REMOTE_ADDR="192.0.2.9")[0] == 429
    assert sign_in("wrong", REMOTE_ADDR="192.0.2.9", name="DORA")[0] == 429
    assert sign_in("wrong", REMOTE_ADDR="192.0.2.9", name="somebody else")[0] == 200


def test_one_address_keeps_nobody_out(dora: User) -> None:
    assert try_often(20, REMOTE_ADDR="192.0.2.1")[-1] == 429
    assert sign_in("right", REMOTE_ADDR="192.0.2.2")[0] == 302


def test_unknown_names_are_counted_alike() -> None:
    """So the throttle doesn't tell who is there."""
    assert try_often(4, name="nobody") == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("trust", "told", "alike"),
    [
        # The proxy appends the address that it sees; what stands before it is the client's tale.
        (True, ["7.7.7.1, 192.0.2.1", "7.7.7.2, 192.0.2.1"], True),
        (True, ["192.0.2.1", "192.0.2.2"], False),
        (False, ["192.0.2.1", "192.0.2.2"], True),
        # One network is one owner's.
        (True, ["2001:db8::1", "2001:db8::2:1"], True),
        (True, ["2001:db8:0:1::1", "2001:db8:0:2::1"], False),
    ],
)
def test_which_address_counts(settings: Any, trust: bool, told: list[str], alike: bool) -> None:
    configure(settings, TRUST_PROXY=trust)
    first, second = told
    try_often(3, HTTP_X_FORWARDED_FOR=first, name="a")
    assert (sign_in("wrong", HTTP_X_FORWARDED_FOR=second, name="b")[0] == 429) is alike


def test_any_code_that_authenticates_is_throttled(dora: User) -> None:
    request = RequestFactory().post("/somewhere")
    for _ in range(3):
        assert authenticate(request, username="dora", password="wrong") is None
    with pytest.raises(TooManySignIns):
        authenticate(request, username="dora", password="right")
    # Without a request there is no address, only the account.
    assert authenticate(username="dora", password="right") == dora


@pytest.mark.django_db(transaction=True)
async def test_asynchronous_code_too(settings: Any) -> None:
    from django.contrib.auth import aauthenticate

    for _ in range(9):
        assert await aauthenticate(username="dora", password="wrong") is None
    with pytest.raises(TooManySignIns):
        await aauthenticate(username="dora", password="wrong")
    # That of the thread which looked.
    await sync_to_async(connections.close_all)()


def test_only_so_many_passwords_are_hashed_at_once(dora: User) -> None:
    """Else forty wrong ones would hold everybody up."""
    held = 0
    while signins._hashing().acquire(blocking=False):
        held += 1
    try:
        status, answer = sign_in("right")
    finally:
        for _ in range(held):
            signins._hashing().release()
    assert (status, answer["Retry-After"]) == (503, "5")
    text = answer.content.decode()
    assert "Too many people are signing in at this moment" in text
    assert "minute" not in text
    assert 1 <= held <= 8
    # It wasn't their fault.
    assert try_often(3) == [200] * 3


def test_old_counts_are_cleared_away(dora: User) -> None:
    try_often(1)
    Tally.objects.update(ends_at=F("ends_at") - 3601)
    call_command("clearsessions")
    assert not Tally.objects.exists()


def test_nothing_is_kept_of_what_was_typed(dora: User) -> None:
    """It may be a password, in the wrong field."""
    sign_in("wrong", name="hunter2")
    assert "hunter2" not in str(list(Tally.objects.values()))


def test_an_inactive_user(dora: User) -> None:
    dora.is_active = False
    dora.save()
    assert sign_in("right")[0] == 200

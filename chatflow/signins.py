"""Signing in by password: throttled by account and by address over all processes.

Every door comes here, as Django's authenticate() asks the backends: the page, the admin's login,
and whatever a project adds.
"""

import hashlib
from functools import cache
from threading import BoundedSemaphore
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from rest_framework.exceptions import Throttled

from chatflow.access.line import turned_away
from chatflow.access.tallies import Limit
from chatflow.answers.errors import CROWDED, Unavailable
from chatflow.conf import conf
from chatflow.wire.addresses import client_address

# So many times the wrong passwords of one address: one address alone keeps nobody out of theirs.
ADDRESSES = 3


class TooManySignIns(Throttled):
    """Too many wrong passwords."""

    default_detail = "Too many attempts to sign in."
    # Seconds until there is room again.
    wait: float


class TooManyAtOnce(Unavailable):
    """More people sign in at this moment than a process takes in."""

    default_detail = CROWDED.error


class Backend(ModelBackend):
    """Django's own, which hashes any number of passwords, as many at once as there are threads.

    Each attempt is counted before its password is looked at, and forgiven when that was right.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user whose name and password these are; None if they are wrong.

        Raises:
            TooManySignIns: with the seconds until there is room again.
            TooManyAtOnce: there is none at this moment.
        """
        if turned_away.get():
            raise TooManyAtOnce
        name = kwargs.get(get_user_model().USERNAME_FIELD) if username is None else username
        if name is None or password is None:
            return None
        account, address = _digest(name), client_address(request) if request else None
        _count(account, address)
        hashing = _hashing()
        if not hashing.acquire(blocking=False):
            _forgive(account, address)
            raise TooManyAtOnce
        try:
            user = super().authenticate(request, username, password, **kwargs)
        finally:
            hashing.release()
        if user is not None:
            _forgive(account, address)
            _of_account().forget(account)
        return user

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """See authenticate()."""
        return await sync_to_async(self.authenticate)(request, username, password, **kwargs)


def at_once() -> int:
    """Return how many passwords a process hashes at once.

    Each costs a third of a second of a processor. Who comes by a page waits in
    line: access/line.py.
    """
    return max(1, conf.WEB_THREADS // 4)


@cache
def _hashing() -> BoundedSemaphore:
    return BoundedSemaphore(at_once())


def _count(account: str, address: str | None) -> None:
    # The address first: what it sends in vain doesn't count against the account.
    wait = _of_address().take(address) if address else None
    if wait is None:
        wait = _of_account().take(account)
    if wait is not None:
        raise TooManySignIns(wait=wait)


def _forgive(account: str, address: str | None) -> None:
    if address:
        _of_address().give_back(address)
    _of_account().give_back(account)


def _of_address() -> Limit:
    most, seconds = conf.RATE_LIMIT_SIGN_IN
    return Limit("sign-in-from", most, seconds)


def _of_account() -> Limit:
    most, seconds = conf.RATE_LIMIT_SIGN_IN
    return Limit("sign-in-as", most * ADDRESSES, seconds)


def account_key(name: str) -> str:
    """Return the key of the tally of wrong passwords for the account of that name."""
    return _of_account().key(_digest(name))


def _digest(name: str) -> str:
    # It may be long, and may be a password that was typed into the wrong field.
    return hashlib.sha256(name.casefold().encode()).hexdigest()

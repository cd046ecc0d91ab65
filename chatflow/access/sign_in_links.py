"""Links that sign a user in, once, for whoever may run commands on the host."""

import hashlib
from typing import Any

from django.contrib.auth import get_user_model
from django.core import signing
from django.utils.crypto import constant_time_compare

from chatflow.access.tallies import Limit
from chatflow.wire.addresses import site_path
from chatflow.workflows import clock
from chatflow.workflows.users import is_active, password_of

SALT = "chatflow.sign-in"
# Seconds that a link lives.
LIFETIME = 3600.0
USED = Limit("sign-in-link", 1, LIFETIME)


def make_link(user: Any) -> str:
    """Return the path, on this site, of a link that signs the user in, within an hour.

    It dies with their password, as other links do.
    """
    told = [str(user.pk), _mark(user), round(clock.now().timestamp())]
    return f"{site_path('sign-in-once')}?token={signing.dumps(told, salt=SALT)}"


def open_link(token: str) -> Any | None:
    """Return the user whom a link is for, and use it up.

    Args:
        token: the link's.

    Returns:
        The user; None if the link is not good, or not any more.
    """
    try:
        key, mark, made = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    user = get_user_model()._default_manager.filter(pk=key).first()
    if user is None or not is_active(user) or clock.now().timestamp() > made + LIFETIME:
        return None
    if not constant_time_compare(mark, _mark(user)):
        return None
    used = hashlib.sha256(token.encode()).hexdigest()
    return user if USED.take(used) is None else None


def _mark(user: Any) -> str:
    return hashlib.sha256(password_of(user).encode()).hexdigest()[:20]

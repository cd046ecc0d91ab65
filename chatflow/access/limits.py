"""How much a user, and all users together, may ask of a web process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any

from rest_framework.exceptions import Throttled

from chatflow.access.tallies import Limit
from chatflow.answers.errors import Unavailable
from chatflow.conf import conf
from chatflow.workflows.services import Mode
from chatflow.workflows.sizes import size_text

DAY = 86_400.0

_taken: Counter[Any] = Counter()
_lock = Lock()


@contextmanager
def slot(mode: Mode, user: Any) -> Iterator[Mode]:
    """Hold a slot while a send may run its workflow here; give the mode that there is room for.

    Raises:
        Unavailable: the send has to run here, and all slots are taken.
    """
    runs_here = conf.QUEUE_CONNECTION == "sync"
    if mode == "async" and not runs_here:
        yield mode
    elif _hold(user.pk):
        try:
            yield mode
        finally:
            _release(user.pk)
    elif mode == "auto" and not runs_here:
        yield "async"
    else:
        raise Unavailable("Too many requests are being answered at once. Please try again.")


def slots() -> int:
    """Return half of the pool's threads: the other half always answers status and async sends."""
    return max(1, conf.WEB_THREADS // 2)


def per_user() -> int:
    """Return half of the slots: nobody keeps all others waiting."""
    return max(1, slots() // 2)


def _hold(user_id: Any) -> bool:
    with _lock:
        if _taken[user_id] >= per_user() or _taken.total() >= slots():
            return False
        _taken[user_id] += 1
        return True


def _release(user_id: Any) -> None:
    with _lock:
        _taken[user_id] -= 1
        if not _taken[user_id]:
            del _taken[user_id]


_uploading: set[Any] = set()
_searching: set[Any] = set()


def upload_slot(user: Any) -> AbstractContextManager[None]:
    """Hold the user's one slot for a document that is being read here.

    Raises:
        Unavailable: another document of the user's holds it.
    """
    return _alone(_uploading, user, "A document of yours is still being read. Please try again.")


def search_slot(user: Any) -> AbstractContextManager[None]:
    """Hold the user's one slot for a search of conversations here: it may read all their words.

    Raises:
        Unavailable: another search of the user's holds it.
    """
    return _alone(_searching, user, "A search of yours is still going on. Please try again.")


@contextmanager
def _alone(users: set[Any], user: Any, refusal: str) -> Iterator[None]:
    with _lock:
        if user.pk in users:
            raise Unavailable(refusal)
        users.add(user.pk)
    try:
        yield
    finally:
        with _lock:
            users.discard(user.pk)


def check_rate(user: Any) -> None:
    """Count a message of the user's, or refuse it beyond RATE_LIMIT_SEND.

    Raises:
        Throttled: with the seconds until there is room again.
    """
    most, seconds = conf.RATE_LIMIT_SEND
    _take(Limit("send", most, seconds), user, "Too many messages.")


def check_upload(user: Any, size: int) -> None:
    """Count a document of the user's, or refuse it beyond RATE_LIMIT_UPLOAD and its bytes.

    Args:
        user: whose it is.
        size: of the document, in bytes.

    Raises:
        Throttled: with the seconds until there is room again.
    """
    most, seconds = conf.RATE_LIMIT_UPLOAD
    _take(Limit("upload", most, seconds), user, "Too many documents.")
    most = conf.UPLOAD_BYTES_PER_DAY
    refusal = f"More than {size_text(most)} of documents today."
    _take(Limit("upload-bytes", most, DAY), user, refusal, size)


def _take(limit: Limit, user: Any, refusal: str, amount: int = 1) -> None:
    wait = limit.take(user.pk, amount)
    if wait is not None:
        raise Throttled(wait=wait, detail=refusal)

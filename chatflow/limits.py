"""How much a user, and all users together, may ask of a web process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from rest_framework.exceptions import Throttled

from chatflow.errors import Unavailable
from workflows import services
from workflows.models import Job
from workflows.services import Mode

# Half of the pool, so that the other half always answers status and async sends.
SLOTS = max(1, settings.WEB_THREADS // 2)
# Half of them for one user, so that nobody keeps all others waiting.
PER_USER = max(1, SLOTS // 2)
_taken: Counter[Any] = Counter()
_lock = Lock()


@contextmanager
def slot(mode: Mode, user: Any) -> Iterator[Mode]:
    """Hold a slot while a send may run its workflow here; give the mode that there is room for.

    Raises:
        Unavailable: the send has to run here, and all slots are taken.
    """
    runs_here = settings.QUEUE_CONNECTION == "sync"
    if mode == "async" and not runs_here:
        yield mode
    elif _take(user.pk):
        try:
            yield mode
        finally:
            _release(user.pk)
    elif mode == "auto" and not runs_here:
        yield "async"
    else:
        raise Unavailable("Too many requests are being answered at once. Please try again.")


def _take(user_id: Any) -> bool:
    with _lock:
        if _taken[user_id] >= PER_USER or _taken.total() >= SLOTS:
            return False
        _taken[user_id] += 1
        return True


def _release(user_id: Any) -> None:
    with _lock:
        _taken[user_id] -= 1
        if not _taken[user_id]:
            del _taken[user_id]


_uploading: set[Any] = set()


@contextmanager
def upload_slot(user: Any) -> Iterator[None]:
    """Hold the user's one slot for a document that is being read here.

    Raises:
        Unavailable: another document of the user's holds it.
    """
    with _lock:
        if user.pk in _uploading:
            raise Unavailable("A document of yours is still being read. Please try again.")
        _uploading.add(user.pk)
    try:
        yield
    finally:
        with _lock:
            _uploading.discard(user.pk)


def check_rate(user: Any, idempotency_key: str | None = None) -> None:
    """Refuse a send beyond RATE_LIMIT_SEND. Sends at the same moment may exceed it by a few.

    Raises:
        Throttled: with the seconds until there is room for one more.
    """
    limit, seconds = settings.RATE_LIMIT_SEND
    if services.recent_starts(user, seconds) < limit:
        return
    jobs = Job.objects.visible_to(user)
    # A replay starts nothing.
    if idempotency_key and jobs.filter(idempotency_key=idempotency_key).exists():
        return
    wait = seconds
    if limit:
        ages = jobs.order_by("-created_at").values_list(Now() - F("created_at"), flat=True)
        wait -= ages[limit - 1].total_seconds()
    raise Throttled(wait=max(1.0, wait), detail="Too many messages.")

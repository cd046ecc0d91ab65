"""What members of the staff did: each act is recorded, by whatever way they did it."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model
from django.http import HttpRequest


def record(request: HttpRequest, target: Model, act: str, why: str = "") -> None:
    """Record an act of the one who asks.

    Args:
        request: theirs.
        target: the row that it was done to.
        act: what was done, in words, with its outcome.
        why: the reason that they gave.
    """
    words = f"{act}: {why}" if why else act
    LogEntry.objects.log_actions(request.user.pk, [target], CHANGE, words, single_object=True)  # type: ignore[call-overload]

"""A user's daily budget for models: reserved before a request, settled after it."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import F, QuerySet

from chatflow.conf import conf
from chatflow.workflows import clock
from chatflow.workflows.exceptions import DailyBudgetExceeded
from chatflow.workflows.models import DailyUsage

# Tokens that a response counts for until its true length is known.
RESPONSE_TOKENS = 1000
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Reservation:
    """Tokens that are set aside for one request of a user."""

    user_id: Any
    day: date
    tokens: int


def reserve(user_id: Any, characters: int) -> Reservation | None:
    """Set aside the tokens that a request may take; the UPDATE itself refuses too many.

    A request whose worker is lost keeps its reservation until the day is over: its provider may
    well have counted it.

    Args:
        user_id: the key of the user whose request it is.
        characters: the length of the request.

    Returns:
        The reservation, for settle(); None where no budget is set.

    Raises:
        DailyBudgetExceeded: the budget of the day doesn't allow it.
    """
    requests, tokens = conf.AI_DAILY_REQUESTS, conf.AI_DAILY_TOKENS
    if not requests and not tokens:
        return None
    day = clock.now().date()
    expected = characters // CHARACTERS_PER_TOKEN + RESPONSE_TOKENS
    DailyUsage.objects.get_or_create(user_id=user_id, day=day)
    free = DailyUsage.objects.filter(user_id=user_id, day=day)
    if requests:
        free = free.filter(requests__lt=requests)
    if tokens:
        free = free.filter(tokens__lte=tokens - expected)
    if not free.update(requests=F("requests") + 1, tokens=F("tokens") + expected):
        raise DailyBudgetExceeded
    return Reservation(user_id, day, expected)


def settle(reservation: Reservation | None, tokens: int) -> None:
    """Replace the tokens that were set aside for a request by those that it really took."""
    if reservation is not None:
        _row(reservation).update(tokens=F("tokens") + tokens - reservation.tokens)


def release(reservation: Reservation | None) -> None:
    """Give back the tokens that were set aside for a request that no provider counts."""
    if reservation is not None:
        _row(reservation).update(
            requests=F("requests") - 1, tokens=F("tokens") - reservation.tokens
        )


def _row(reservation: Reservation) -> QuerySet[DailyUsage]:
    return DailyUsage.objects.filter(user_id=reservation.user_id, day=reservation.day)

"""Counting over all processes, for limits: one statement counts and decides.

A window of time begins with the first thing that is counted, by the database's clock, and lasts as
long as the limit says. What is refused isn't counted, and what the counted things made may be
deleted: the count stays.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import F

from chatflow.models import Tally
from chatflow.workflows import clock
from chatflow.workflows.services.unsynced import fetch_unsynced

COUNT = """
    INSERT INTO chatflow_tally (key, count, ends_at)
    VALUES (%(key)s, %(amount)s, %(now)s + %(seconds)s)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN chatflow_tally.ends_at > %(now)s
            THEN chatflow_tally.count + excluded.count ELSE excluded.count END,
        ends_at = CASE WHEN chatflow_tally.ends_at > %(now)s
            THEN chatflow_tally.ends_at ELSE excluded.ends_at END
    WHERE chatflow_tally.ends_at <= %(now)s
        OR chatflow_tally.count + excluded.count <= %(limit)s
    RETURNING count
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of something one may have.

    Args:
        what: a name for it.
        most: how much, in each window.
        seconds: how long a window lasts.
    """

    what: str
    most: int
    seconds: float

    def take(self, whom: Any, amount: int = 1) -> float | None:
        """Count *amount* more, if that is within the limit.

        Args:
            whom: for whom it is counted, as a short text.
            amount: how much.

        Returns:
            None where it was counted; else the seconds until the window is over.
        """
        if amount > self.most:
            return self.seconds
        now = clock.now().timestamp()
        params = {"key": self.key(whom), "amount": amount, "now": now, "limit": self.most}
        if fetch_unsynced(COUNT, params | {"seconds": float(self.seconds)}) is not None:
            return None
        ends_at = self._tallies(whom).values_list("ends_at", flat=True).first()
        return max(1.0, (ends_at or now) - now)

    def give_back(self, whom: Any, amount: int = 1) -> None:
        """Take an earlier take() back."""
        self._tallies(whom).filter(count__gte=amount).update(count=F("count") - amount)

    def forget(self, whom: Any) -> None:
        """Begin anew."""
        self._tallies(whom).delete()

    def _tallies(self, whom: Any) -> Any:
        return Tally.objects.filter(key=self.key(whom))

    def key(self, whom: Any) -> str:
        """Return the key of somebody's row."""
        return f"{self.what}:{whom}"


def prune() -> None:
    """Delete the tallies whose windows are over."""
    Tally.objects.filter(ends_at__lt=clock.now().timestamp()).delete()

"""How the last jobs fared, as it is read from the rows that count them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatflow.workflows import clock, histograms
from chatflow.workflows.models import Figures
from chatflow.workflows.services import figures
from chatflow.workflows.services.figures import Stretch

pytestmark = pytest.mark.django_db

NOW = datetime(2025, 11, 30, 14, 30, 20, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def count(since: datetime, span: int = 60, seconds: float = 0.3, **fields: Any) -> None:
    counts = histograms.empty()
    counts[histograms.bucket(seconds)] = sum(
        fields.get(name, 0) for name in ("completed", "failed", "timeout")
    )
    names = {"queue": "default", "workflow": "chat", "waited": counts, "ran": counts}
    Figures.objects.create(span=span, since=since, **{**names, **fields})


def test_the_last_hour() -> None:
    this = NOW.replace(second=0)
    count(this, completed=3, input_tokens=5, cost_usd=0.5)
    count(this - 59 * MINUTE, failed=1, timeout=1, queue="mail", seconds=4)
    count(this - 59 * MINUTE, cancelled=1, workflow="other")
    count(this - 60 * MINUTE, completed=100)
    found = figures.report(Stretch.HOUR)

    assert len(found.slots) == 60
    assert [total.ended for total in found.slots.values() if total.ended] == [3, 3]
    assert (found.whole.ended, found.whole.unsuccessful, found.whole.cancelled) == (6, 2, 1)
    assert (found.whole.tokens, found.whole.cost_usd) == (5, 0.5)
    assert {name: total.ended for name, total in found.queues.items()} == {"default": 4, "mail": 2}
    assert {name: total.ended for name, total in found.workflows.items()} == {"chat": 5, "other": 1}
    assert 0.25 <= (found.whole.waited(0.5) or 0) <= 0.5
    assert 2.5 <= (found.whole.ran(0.95) or 0) <= 5
    assert figures.report(Stretch.DAY).whole.ran(0.5) is None


def test_a_week_has_slots_of_six_hours() -> None:
    for hour in (12, 13, 14):
        count(NOW.replace(hour=hour, minute=0, second=0), span=3600, completed=1)
    count(datetime(2025, 11, 23, 18, tzinfo=UTC), span=3600, completed=10)
    count(datetime(2025, 11, 23, 17, tzinfo=UTC), span=3600, completed=100)
    found = figures.report(Stretch.WEEK)

    assert len(found.slots) == 28
    assert next(iter(found.slots)) == datetime(2025, 11, 23, 18, tzinfo=UTC)
    assert [total.completed for total in found.slots.values() if total.ended] == [10, 3]


def test_the_hour_and_the_day_before_it() -> None:
    count(NOW.replace(second=0), failed=2)
    # It is in that hour for the most part.
    count(NOW.replace(hour=13, minute=0, second=0), span=3600, completed=7)
    count(NOW.replace(hour=12, minute=0, second=0), span=3600, completed=5)
    lately, before = figures.failing()

    assert (lately.unsuccessful, before.ended) == (2, 5)

"""What was used in some days, whether its weeks and months are added up or not."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import clock
from chatflow.workflows.models import UsageFigures, UsageMark
from chatflow.workflows.services.usage import MOST_DAYS, Asked, Usage, cover, usage
from chatflow.workflows.store import usage_figures
from chatflow.workflows.store.usage_figures import DAY, end_of

pytestmark = pytest.mark.django_db


def test_days_are_covered_by_months_and_weeks_once_each() -> None:
    dice = random.Random(7)
    for _ in range(300):
        since = date(2024, 1, 1) + dice.randrange(800) * DAY
        upto = since + dice.randrange(500) * DAY
        summed = since + dice.randrange(-50, 550) * DAY
        days: list[date] = []
        for span, first, last in cover(since, upto, summed):
            assert not span or end_of(span, last - DAY) == last <= summed
            days += [first + number * DAY for number in range((last - first).days)]
        assert days == [since + number * DAY for number in range((upto - since).days)]
    year = list(cover(date(2025, 1, 15), date(2026, 1, 15), date(2026, 1, 12)))
    assert [span for span, _, _ in year] == ["", "week", "", "month", "", "week", ""]


def test_sums_come_to_the_same_as_their_days(alice: User, bob: User) -> None:
    today = clock.now().date()
    UsageFigures.objects.bulk_create(
        UsageFigures(
            user=user,
            workflow=f"w{ago % 3}",
            model=f"m{ago % 2}",
            day=today - timedelta(days=ago),
            requests=number + ago % 7,
            input_tokens=1000 * ago,
            cost=f"0.{number * ago:04}",
        )
        for number, user in enumerate((alice, bob), 1)
        for ago in range(0, 200, 3)
    )
    UsageMark.objects.create(finished_at=clock.now())

    def ask(by: str, days: int = 190, most: int = 100, **only: Any) -> Usage:
        return usage(Asked(today - timedelta(days=days), today, **only), by, most)

    questions: list[dict[str, Any]] = [
        {"by": "user"},
        {"by": "user", "most": 1},
        {"by": "workflow", "days": 100},
        {"by": "model", "user": bob.pk},
        {"by": "workflow", "model": "m1"},
        {"by": "user", "workflow": "w0"},
        {"by": "day", "user": alice.pk},
    ]
    before = [ask(**question) for question in questions]
    while usage_figures.sum_up():
        pass
    assert [ask(**question) for question in questions] == before

    by_user, cut = before[:2]
    assert list(by_user.rows) == [bob.pk, alice.pk]
    assert by_user.total["requests"] == sum(row["requests"] for row in by_user.rows.values())
    assert (cut.is_cut, cut.total, len(cut.rows)) == (True, by_user.total, 1)
    by_day = before[-1]
    assert by_day.is_cut
    assert max(by_day.rows) == today > min(by_day.rows) > today - MOST_DAYS * DAY
    assert ask("user", workflow="gone") == Usage({}, dict.fromkeys(by_user.total, 0), False)

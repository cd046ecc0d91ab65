"""What was used, as the page of usage tells it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from chatflow.workflows import clock
from chatflow.workflows.models import DailyUsage, UsageFigures
from tests.configure import configure

pytestmark = pytest.mark.django_db

URL = "/admin/chatflow_workflows/dailyusage/"


@pytest.fixture(autouse=True)
def figures(alice: User, bob: User) -> None:
    """Alice asks two models today, and asked one two weeks ago; Bob asked one yesterday."""
    today = clock.now().date()
    for user, workflow, model, days, requests, cost, unpriced in (
        (alice, "chat", "large", 0, 2, "1.5", 0),
        (alice, "report", "=own()", 0, 3, "0", 3),
        (alice, "chat", "large", 14, 50, "9", 0),
        (bob, "chat", "large", 1, 7, "0.25", 0),
    ):
        UsageFigures.objects.create(
            user=user,
            workflow=workflow,
            model=model,
            day=today - timedelta(days=days),
            requests=requests,
            input_tokens=1000 * requests,
            output_tokens=10 * requests,
            cost=cost,
            unpriced=unpriced,
        )


def lines(client: Client, **query: str) -> list[tuple[Any, ...]]:
    response = client.get(URL, query)
    assert response.status_code == 200
    return [(line.name, line.requests, float(line.cost)) for line in response.context["lines"]]


def test_it_works(boss: Client) -> None:
    assert lines(boss) == [("alice", 5, 1.5), ("bob", 7, 0.25)]
    assert lines(boss, by="workflow") == [("chat", 9, 1.75), ("report", 3, 0)]
    assert lines(boss, by="model") == [("large", 9, 1.75), ("=own()", 3, 0)]
    assert [line[1:] for line in lines(boss, by="day")] == [(5, 1.5), (7, 0.25)]
    text = boss.get(URL).content.decode()
    for words in ("alice", "12,000", "at least $1.5000"):
        assert words in text
    assert "unknown" in boss.get(URL, {"by": "model"}).content.decode()


def test_periods_and_filters(boss: Client) -> None:
    assert lines(boss, span="day") == [("alice", 5, 1.5)]
    assert lines(boss, span="month") == [("alice", 55, 10.5), ("bob", 7, 0.25)]
    yesterday = str(clock.now().date() - timedelta(days=1))
    assert lines(boss, span="days", since=yesterday, until=yesterday) == [("bob", 7, 0.25)]
    assert lines(boss, user="bob", span="month") == [("bob", 7, 0.25)]
    assert lines(boss, user="nobody") == []
    assert lines(boss, workflow="report") == [("alice", 3, 0)]
    for wrong in ({"by": "x"}, {"span": "x"}, {"since": "x", "until": "\0"}, {"user": "\0"}):
        assert boss.get(URL, wrong).status_code == 200


def test_who_is_near_a_budget_comes_first(
    boss: Client, alice: User, bob: User, settings: LazySettings
) -> None:
    assert "None is set" in boss.get(URL).content.decode()
    configure(settings, AI_DAILY_REQUESTS=10, AI_DAILY_TOKENS=1000)
    today = clock.now().date()
    assert "Nobody has used 80 %" in boss.get(URL).content.decode()
    for user, requests, tokens, days in (
        (alice, 8, 0, 0),
        (bob, 1, 999, 0),
        (User.objects.get(username="boss"), 7, 799, 0),
        (alice, 10, 1000, 1),
    ):
        day = today - timedelta(days=days)
        DailyUsage.objects.create(user=user, day=day, requests=requests, tokens=tokens)

    near = boss.get(URL).context["budgets"]
    assert [(each.name, each.percent) for each in near] == [("bob", 99), ("alice", 80)]


def test_download(boss: Client) -> None:
    answer: Any = boss.get(URL, {"by": "model", "format": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    rows = b"".join(answer.streaming_content).decode().splitlines()
    assert rows[0] == "model,requests,input_tokens,output_tokens,cost,unpriced"
    assert rows[1].startswith("large,9,9000,90,1.75")
    # No program takes it for a formula.
    assert rows[2].startswith("'=own(),3,")


def test_whoever_may_not_look_does_not_see_it(staff: Callable[..., Client]) -> None:
    for query in ({}, {"format": "csv"}):
        assert staff("view_job").get(URL, query).status_code == 403
        assert staff("view_dailyusage").get(URL, query).status_code == 200

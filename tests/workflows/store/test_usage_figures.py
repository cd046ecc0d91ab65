"""The figures of what was used: each request once, whoever is killed or counts beside it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import timezone

from chatflow.workflows import Context, WorkflowError, clock, workflow
from chatflow.workflows.models import DailyUsage, Job, Step, UsageFigures, UsageMark, UsageSums
from chatflow.workflows.store import pruning, usage_figures
from chatflow.workflows.store.usage_figures import DAY, MONTH, WEEK, begin_of, end_of
from tests.configure import configure
from tests.openai_server import INPUT_TOKENS, OUTPUT_TOKENS, OpenAIServer, text
from tests.workflows.ai.test_recorded import hello
from tests.workflows.chat import Chat, at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def count() -> None:
    usage_figures.catch_up(clock.now() + timedelta(seconds=1))


def figures(**where: Any) -> list[tuple[Any, ...]]:
    found = UsageFigures.objects.filter(**where).order_by("workflow", "model")
    return list(found.values_list("requests", "input_tokens", "output_tokens"))


def test_it_works(chat: Chat, bob: User, server: OpenAIServer, settings: LazySettings) -> None:
    """Failed jobs are paid for too; all agrees with the budget's own books."""

    @workflow("fails")
    def fails(ctx: Context) -> str:
        ctx.ai("Well?")
        raise WorkflowError("No.")

    configure(settings, AI_DAILY_TOKENS=1_000_000)
    server.script = [text("One."), text("Two."), text("Three."), text("Bob's.")]
    chat.begin(hello)
    chat.say(workflow="w")
    Chat(bob, "his").say(workflow="w")
    count()
    assert chat.say(workflow="fails").state == "failed"
    count()
    count()

    assert figures(user=bob) == [(1, INPUT_TOKENS, OUTPUT_TOKENS)]
    assert figures(user=chat.user) == [
        (1, INPUT_TOKENS, OUTPUT_TOKENS),
        (2, 2 * INPUT_TOKENS, 2 * OUTPUT_TOKENS),
    ]
    row = UsageFigures.objects.get(user=bob)
    assert (row.workflow, row.day, row.model) == ("w", clock.now().date(), "gpt-4o-mini")
    for user in (chat.user, bob):
        booked = DailyUsage.objects.get(user=user)
        sums = UsageFigures.objects.filter(user=user).aggregate(
            requests=Sum("requests"), tokens=Sum("input_tokens") + Sum("output_tokens")
        )
        assert sums == {"requests": booked.requests, "tokens": booked.tokens}


def test_the_price_is_added_where_it_is_known(chat: Chat) -> None:
    job = chat.begin(lambda ctx: "Done.")
    Job.objects.filter(pk=job.pk).update(usage={"requests": 3})
    known = {"model": "m", "input_tokens": 1, "output_tokens": 2}
    for number, cost in enumerate(({"cost_usd": 0.1}, {"cost_usd": 0.2}, {})):
        at = timezone.now() - timedelta(days=number // 2)
        Step.objects.create(
            root=job,
            job=job,
            name="Asking",
            occurrence=number,
            attempt=1,
            usage=known | cost,
            created_at=at,
        )
    count()

    today, yesterday = UsageFigures.objects.order_by("-day")
    assert (today.cost, today.unpriced) == (Decimal("0.3"), 0)
    assert (yesterday.unpriced, yesterday.requests) == (1, 1)


def test_what_ended_at_the_same_moment_is_counted_part_by_part(
    chat: Chat, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_figures, "PART", 2)
    server.script = [text("One.") for _ in range(5)]
    chat.begin(hello)
    for _ in range(4):
        chat.say(workflow="w")
    Job.objects.update(finished_at=timezone.now())
    count()

    assert figures() == [(5, 5 * INPUT_TOKENS, 5 * OUTPUT_TOKENS)]


def test_who_is_killed_has_counted_nothing(
    chat: Chat, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = [text("One.")]
    chat.begin(hello)
    count_up = usage_figures._add

    def die(used: Any) -> None:
        count_up(used)
        raise KeyboardInterrupt

    monkeypatch.setattr(usage_figures, "_add", die)
    with pytest.raises(KeyboardInterrupt):
        count()
    assert figures() == []
    monkeypatch.undo()
    count()

    assert figures() == [(1, INPUT_TOKENS, OUTPUT_TOKENS)]


@pytest.mark.django_db(transaction=True)
def test_several_clusters_count_each_job_once(chat: Chat, server: OpenAIServer) -> None:
    server.script = [text("One.") for _ in range(3)]
    chat.begin(hello)
    chat.say(workflow="w")
    chat.say(workflow="w")
    UsageMark.objects.create(pk=1, finished_at=usage_figures.BEGINNING)
    until = clock.now() + timedelta(seconds=1)
    at_once(4, lambda number: usage_figures.catch_up(until))

    assert figures() == [(3, 3 * INPUT_TOKENS, 3 * OUTPUT_TOKENS)]


def test_pruned_jobs_leave_their_figures_and_old_figures_go(
    chat: Chat, server: OpenAIServer
) -> None:
    server.script = [text("One.")]
    old = clock.now() - timedelta(days=40)
    job = chat.begin(hello)
    Job.objects.filter(pk=job.pk).update(finished_at=old)
    Step.objects.filter(job=job).update(created_at=old)
    long_ago = old - timedelta(days=usage_figures.KEPT)
    UsageFigures.objects.create(user=chat.user, workflow="w", model="m", day=long_ago.date())
    assert pruning.prune(30) == 1

    assert [row.day for row in UsageFigures.objects.all()] == [old.date()]


def test_weeks_and_months_that_are_over_are_added_up_and_take_what_comes_late(
    chat: Chat, bob: User, server: OpenAIServer
) -> None:
    server.script = [text("One.") for _ in range(3)]
    old = clock.now() - timedelta(days=80)
    month = begin_of(MONTH, old.date())
    for user, requests in ((chat.user, 2), (chat.user, 5), (bob, 11)):
        of_user = UsageFigures.objects.filter(user=user).count()
        UsageFigures.objects.create(
            user=user, workflow="w", model="m", day=month + of_user * DAY, requests=requests
        )
    chat.begin(hello)
    count()
    while usage_figures.sum_up():
        pass

    def sums(**where: Any) -> list[tuple[Any, ...]]:
        rows = UsageSums.objects.filter(span="month", since=month, **where)
        return list(rows.order_by("model", "requests").values_list("model", "requests"))

    assert sums() == [("m", 7), ("m", 11)]
    week, today = begin_of(WEEK, month), clock.now().date()
    assert set(
        UsageSums.objects.filter(span="week", since__lte=month).values_list("since", flat=True)
    ) == {week}
    mark = UsageMark.objects.get()
    assert mark.summed_upto is not None
    assert mark.summed_upto <= today < mark.summed_upto + 9 * DAY

    # Jobs that end only now asked their model then, on one day.
    at = datetime(month.year, month.month, 1, 12, tzinfo=UTC)
    for times in (1, 2):
        Step.objects.filter(job=chat.say(workflow="w")).update(created_at=at)
        count()
        assert sums(user=chat.user) == [("gpt-4o-mini", times), ("m", 7)]
    for user in (chat.user, bob):
        for span in (WEEK, MONTH):
            for row in UsageSums.objects.filter(user=user, span=span):
                days = UsageFigures.objects.filter(
                    user=user, model=row.model, day__gte=row.since, day__lt=end_of(span, row.since)
                )
                assert days.aggregate(Sum("requests"))["requests__sum"] == row.requests

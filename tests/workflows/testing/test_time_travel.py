"""Time travel: what is to happen in a day happens now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatflow.workflows import Context, clock, workflow
from chatflow.workflows.exceptions import ActionExpired
from chatflow.workflows.models import ActionUse, Session
from chatflow.workflows.services import offers
from chatflow.workflows.testing import OPEN, advance, freeze, time_travel

Run = Any


def test_approvals_expire(run: Run) -> None:
    @workflow("refund")
    def refund(ctx: Context) -> str:
        approval = ctx.approve("Refund it?", expires_in=3600)
        return "Refunded." if approval.approved else f"No refund: {approval.reason}."

    early, late = (run("refund", answers=[OPEN]) for _ in range(2))
    advance(minutes=59)
    assert early.answer("yes").response == "Refunded."
    advance(minutes=2)
    assert late.answer("yes").response == "No refund: expired."
    # One that is asked for later has its own hour.
    another = run("refund", answers=[OPEN])
    advance(minutes=59)
    assert another.answer("yes").response == "Refunded."


def test_actions_expire(run: Run) -> None:
    @workflow("lunch")
    def lunch(ctx: Context) -> Any:
        order = {"type": "button", "label": "Order", "workflow": "lunch", "input": {}}
        return ctx.reply("Lunch?", actions=[{**order, "expires_in": 60}])

    turn = run("lunch")
    advance(59)
    use(turn)
    turn = run("lunch")
    advance(61)
    with pytest.raises(ActionExpired):
        use(turn)


def use(turn: Any) -> None:
    offers.act(turn.job.user, turn.job.session.key, turn.actions[0]["id"])


@pytest.mark.parametrize("is_async", [False, True])
def test_deadlines(run: Run, is_async: bool) -> None:
    """A step that takes longer than the workflow may ends it, whatever attempt it is."""

    def slow() -> None:
        advance(90)

    if is_async:

        @workflow("slow", max_execution_time=120)
        async def aslow(ctx: Context) -> str:
            await ctx.astep("First", slow)
            await ctx.astep("Second", slow)
            return "Done."
    else:

        @workflow("slow", max_execution_time=120)
        def plain_slow(ctx: Context) -> str:
            ctx.step("First", slow)
            ctx.step("Second", slow)
            return "Done."

    for crash_after in ("", "First"):
        turn = run("slow", crash_after=[crash_after] if crash_after else [])
        assert (turn.state, turn.code) == ("timeout", "timeout")
        assert turn.steps == [("First", None, 1), ("Second", None, 1)]


def test_a_frozen_clock(run: Run) -> None:
    @workflow("today")
    def today(ctx: Context) -> str:
        return ctx.step("Look", lambda: timezone.localdate().isoformat())

    freeze("2027-02-28 12:00")
    assert run("today").response == "2027-02-28"
    assert timezone.now() == timezone.now()
    advance(days=1)
    assert run("today").response == "2027-03-01"
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    freeze(moment)
    assert timezone.now() == Session().created_at == moment
    # The engine's clock is the database's.
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(hours=1)


def test_the_clock_is_right_again(db: None) -> None:
    freeze("2027-02-28")
    advance(5)
    time_travel.put_right()

    assert abs(timezone.now() - datetime.now(UTC)) < timedelta(hours=1)
    advance(hours=5)
    time_travel.put_right()
    assert abs(ActionUse().created_at - datetime.now(UTC)) < timedelta(hours=1)


def test_a_running_clock_goes_on(db: None) -> None:
    advance(hours=5)

    assert timezone.now() - datetime.now(UTC) > timedelta(hours=4)
    first = timezone.now()
    # Not always within a microsecond.
    assert any(timezone.now() > first for _ in range(100_000))

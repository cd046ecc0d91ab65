"""Workflows that write ledgers, and workflows that behave badly."""

import asyncio
import json
import os
import signal
import socket
import time
from typing import Any

from django.db import IntegrityError, transaction

from chatflow.workflows import Context, WorkflowError, workflow
from tests.acceptance.apps.gates import is_closed, pass_gate
from tests.acceptance.apps.ledger.models import Entry

LONG = 600.0


def note(ctx: Context, step: str) -> None:
    """Write an entry at once, outside of any step."""
    Entry.objects.create(job=str(ctx.job), step=step, attempt=ctx.job.attempt, pid=os.getpid())


def entries(ctx: Context, step: str) -> int:
    return Entry.objects.filter(job=str(ctx.job), step=step).count()


# Exactly once.


@workflow("ledger", max_execution_time=3600)
def ledger(ctx: Context) -> str:
    """Write the entries 1 to n, each in an atomic step.

    The message is JSON: ``steps`` is n; ``seconds`` go by in front of each step and ``inside``
    seconds in its transaction; in front of step number ``stop_at`` is the gate of that name.
    """
    order: dict[str, Any] = json.loads(ctx.message)
    for number in range(1, order["steps"] + 1):
        if order.get("stop_at") == number:
            pass_gate(order["gate"])
        time.sleep(order.get("seconds", 0))
        ctx.step(f"Entry {number}", write, ctx, number, order.get("inside", 0), atomic=True)
        ctx.write(f"{number} ")
    return f"{order['steps']} entries"


@workflow("async_ledger", max_execution_time=3600)
async def async_ledger(ctx: Context) -> str:
    """Do the same as a coroutine, beside others; in front of the gate it reports progress."""
    order: dict[str, Any] = json.loads(ctx.message)
    for number in range(1, order["steps"] + 1):
        while order.get("stop_at") == number and is_closed(order["gate"]):
            await ctx.aprogress(50, f"still here, at {time.time():.0f}")
            await asyncio.sleep(1)
        await asyncio.sleep(order.get("seconds", 0))
        await ctx.astep(f"Entry {number}", write, ctx, number, order.get("inside", 0), atomic=True)
        await ctx.awrite(f"{number} ")
    return f"{order['steps']} entries"


def write(ctx: Context, number: int, seconds: float) -> int:
    note(ctx, str(number))
    time.sleep(seconds)
    return number


# Interruptions.


@workflow("sleeps")
def sleeps(ctx: Context) -> str:
    note(ctx, "sleeps")
    time.sleep(LONG)
    return "slept"


@workflow("spins")
def spins(ctx: Context) -> str:
    note(ctx, "spins")
    while True:
        pass


@workflow("reads")
def reads(ctx: Context) -> str:
    """Wait for a network peer that never answers."""
    ours, _theirs = socket.socketpair()
    note(ctx, "reads")
    return ours.recv(1).decode()


@workflow("swallows")
def swallows(ctx: Context) -> str:
    return go_on_regardless(ctx)


def go_on_regardless(ctx: Context) -> str:
    """Catch whatever comes, and go on as if nothing had been."""
    note(ctx, "swallows")
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
    return "went on"


@workflow("swallows_late", max_execution_time=0.5)
def swallows_late(ctx: Context) -> str:
    return go_on_regardless(ctx)


@workflow("looks_at_the_clock", max_execution_time=0.5)
def looks_at_the_clock(ctx: Context) -> str:
    """Swallow what progress() raises: it may see the deadline before the watchdog does."""
    note(ctx, "looks_at_the_clock")
    while True:
        try:
            ctx.progress(1, "still here")
        except BaseException:
            pass


@workflow("returns_all_the_same")
def returns_all_the_same(ctx: Context) -> str:
    note(ctx, "returns_all_the_same")
    try:
        time.sleep(LONG)
    except BaseException:
        pass
    return "went on"


@workflow("raises_instead")
def raises_instead(ctx: Context) -> str:
    note(ctx, "raises_instead")
    try:
        time.sleep(LONG)
    except BaseException:
        raise ValueError("of its own") from None
    return "slept"


@workflow("late", max_execution_time=0.5)
def late(ctx: Context) -> str:
    note(ctx, "late")
    time.sleep(LONG)
    return "slept"


@workflow("late_async", max_execution_time=0.5)
async def late_async(ctx: Context) -> str:
    import asyncio

    await asyncio.sleep(LONG)
    return "slept"


# Losses and errors.


@workflow("kills_its_worker")
def kills_its_worker(ctx: Context) -> str:
    note(ctx, "began")
    os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@workflow("raises_twice", tries=3, backoff=[0.2, 0.6])
def raises_twice(ctx: Context) -> str:
    ctx.step("Once", write, ctx, 1, 0)
    note(ctx, "try")
    if entries(ctx, "try") < 3:
        raise RuntimeError("as it was asked to")
    return "third time lucky"


@workflow("raises_always", tries=2, backoff=0.1)
def raises_always(ctx: Context) -> str:
    note(ctx, "try")
    raise RuntimeError("as it was asked to")


@workflow("raises_until", retry_until=4, backoff=1)
def raises_until(ctx: Context) -> str:
    note(ctx, "try")
    raise RuntimeError("as it was asked to")


@workflow("gives_up", tries=5)
def gives_up(ctx: Context) -> str:
    note(ctx, "try")
    raise WorkflowError("There is no such customer.", code="no_customer")


@workflow("exits")
def exits(ctx: Context) -> str:
    raise SystemExit(3)


@workflow("retries_a_step")
def retries_a_step(ctx: Context) -> str:
    return str(ctx.step("Shaky", shaky, ctx, retries=2))


def shaky(ctx: Context) -> str:
    note(ctx, "try")
    if entries(ctx, "try") < 3:
        raise RuntimeError("as it was asked to")
    return "stands"


@workflow("misuses_the_database", tries=1)
def misuses_the_database(ctx: Context) -> str:
    """Query on in a transaction that an error has spoiled: a bug of its author's, no outage."""
    note(ctx, "try")
    with transaction.atomic():
        try:
            with transaction.atomic():
                note(ctx, "spoiled")
                raise IntegrityError("as it was asked to")
        except IntegrityError:
            transaction.set_rollback(True)
        Entry.objects.count()
    return "never"


@workflow("asks_too_much", max_ai_calls=2)
def asks_too_much(ctx: Context) -> str:
    for number in range(3):
        ctx.ai(f"Question {number}")
    return "never"


# Queues.


@workflow("urgent", priority=10)
def urgent(ctx: Context) -> str:
    note(ctx, "ran")
    return "done"


@workflow("ordinary")
def ordinary(ctx: Context) -> str:
    note(ctx, "ran")
    return "done"


@workflow("express", queue="express")
def express(ctx: Context) -> str:
    note(ctx, "ran")
    return "done"


@workflow("only_one", unique_key=lambda user, text: f"{user.pk}")
def only_one(ctx: Context) -> str:
    pass_gate("only_one")
    return "done"

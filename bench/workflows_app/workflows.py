"""Workflows that do nothing, so that what is measured is what surrounds them."""

import time

from workflows import Context, workflow


@workflow("bench_noop")
def noop(ctx: Context) -> str:
    return "Done."


@workflow("bench_now")
def now(ctx: Context) -> str:
    """Answer with the moment at which this function was entered, by the machine's clock."""
    return str(time.monotonic_ns())


@workflow("bench_steps", steps=4)
def steps(ctx: Context) -> str:
    for number in range(4):
        ctx.step(f"Step {number}", nothing)
    return "Done."


def nothing() -> None:
    return None


@workflow("bench_beat")
def beat(ctx: Context) -> str:
    """Report progress, for "300 0.005" 300 times, every 5 ms; each says when it was about to."""
    count, pause = ctx.message.split()
    for _ in range(int(count)):
        time.sleep(float(pause))
        ctx.progress(1, str(time.monotonic_ns()))
    return "Done."

"""Workflows that do nothing, so that only their surroundings are measured."""

import time

from chatflow.workflows import Context, workflow

FAILS = "Fail, please."


@workflow("bench_noop")
def noop(ctx: Context) -> str:
    return "Done."


@workflow("bench_now")
def now(ctx: Context) -> str:
    """Respond with the moment at which this function was entered, by the machine's clock."""
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
    """Report progress, for "2 0.005" for 2 seconds every 5 ms; each message is its moment.

    The response is the number of reports.
    """
    seconds, pause = ctx.message.split()
    end, count = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        time.sleep(float(pause))
        ctx.progress(1, str(time.monotonic_ns()))
        count += 1
    return str(count)


@workflow("bench_turn", steps=4)
def turn(ctx: Context) -> str:
    """Leave as much behind as a turn of a conversation: ten events, four steps, a page of text."""
    for number in range(4):
        ctx.step(f"Step {number}", page, 200)
    if ctx.message == FAILS:
        raise RuntimeError("This turn is to fail.")
    return page(1200)


def page(length: int) -> str:
    return ("The quick brown fox jumps over the lazy dog. " * 40)[:length]


@workflow("bench_words", triggers=["say the moments"])
def words(ctx: Context) -> str:
    """Write a word every 50 ms, for "say the moments 60" sixty; each is its moment, in µs."""
    said = []
    for _ in range(int(ctx.message.split()[-1])):
        said.append(str(time.time_ns() // 1000))
        ctx.write(f"{said[-1]} ")
        time.sleep(0.05)
    return " ".join(said)

"""A long run to look at; and chat, which is next door."""

import re
import time

from chatflow.workflows import Context, workflow
from chatflow.workflows.library import chat

__all__ = ["chat", "demo_long"]

# Bounded: a long number would be tried from each of its digits.
STEPS = re.compile(r"(\d{1,9})\s{0,9}steps?", re.IGNORECASE)
SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s{0,9}(?:s|sec|seconds?)\b", re.IGNORECASE)
MOST_STEPS = 50
LONGEST_STEP = 60.0


@workflow(
    "demo_long",
    title="A long demo",
    description="Works for a while, step by step, to watch its progress.",
    triggers=["long demo", "demo_long", "demo long"],
    steps=4,
    hint="long",
)
def demo_long(ctx: Context) -> str:
    """Take four steps of a second and a half, or as many and as long as the message says.

    "Run a long demo with 10 steps of 0.5 seconds" takes ten.
    """
    steps = _number(STEPS, ctx.message, 4, MOST_STEPS)
    seconds = _number(SECONDS, ctx.message, 1.5, LONGEST_STEP)
    ctx.steps = int(steps)
    for number in range(1, int(steps) + 1):
        ctx.step(f"Part {number} of {int(steps)}", _work, seconds)
    return f"Done: {_counted(int(steps), 'step')} of {_counted(seconds, 'second')} each."


def _counted(count: float, noun: str) -> str:
    return f"{count:g} {noun}" if count == 1 else f"{count:g} {noun}s"


def _number(pattern: re.Pattern[str], text: str, default: float, most: float) -> float:
    found = pattern.search(text)
    return min(most, float(found[1])) if found else default


def _work(seconds: float) -> None:
    time.sleep(seconds)

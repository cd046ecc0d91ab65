"""Workflows that stop where a test wants them to."""

from tests.acceptance.apps.gates import pass_gate
from workflows import Context, workflow


@workflow("gated", triggers=["gated"], steps=4)
def gated(ctx: Context) -> str:
    """Take four steps, each behind a gate of its own name: "gated KEY" has KEY-1 to KEY-4."""
    key = ctx.message.split()[-1]
    for number in range(1, 5):
        ctx.step(f"Step {number}", pass_gate, f"{key}-{number}")
        ctx.write(f"{number} ")
    return "All four."


@workflow("speaker", triggers=["speaker"])
def speaker(ctx: Context) -> str:
    """Say a word, pass the gate "speaker KEY" names, say the next."""
    key = ctx.message.split()[-1]
    ctx.write("before ")
    pass_gate(key)
    ctx.write("after")
    return "before after"


@workflow("failing", triggers=["failing"])
def failing(ctx: Context) -> str:
    raise RuntimeError("as it was asked to")


@workflow("endless", triggers=["endless"], max_execution_time=1)
def endless(ctx: Context) -> str:
    """Wait at a gate that is never opened."""
    pass_gate("endless")
    return "never"

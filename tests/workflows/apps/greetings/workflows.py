"""A team's own workflows, found because their app stands in EXTRA_APPS."""

from chatflow.workflows import Context, workflow


@workflow("greet_warmly", triggers=["greet me"])
def greet_warmly(ctx: Context) -> str:
    """Say hello, warmly."""
    return f"Hello {ctx.user}!"

"""Workflows whose every mistake quotes the user."""

from chatflow.workflows import Context, WorkflowError, workflow


@workflow("quoting", triggers=["quoting"])
def quoting(ctx: Context) -> str:
    """Fail by an exception that says what the user has said, and comes from another one."""
    try:
        return str(int(ctx.message))
    except ValueError as error:
        raise RuntimeError(f"No number: {ctx.message}") from error


@workflow("aquoting", triggers=["aquoting"])
async def aquoting(ctx: Context) -> str:
    """Do the same, as a coroutine."""
    raise RuntimeError(f"No number: {ctx.message}")


@workflow("expecting", triggers=["expecting"])
def expecting(ctx: Context) -> str:
    """Fail as it may."""
    raise WorkflowError(f"There is no {ctx.message}.", code="nothing_there")


@workflow("thinking", triggers=["thinking"])
def thinking(ctx: Context) -> str:
    """Take a step, in which it asks the model."""
    return str(ctx.step("Think", lambda: ctx.ai(ctx.message, show=True)))

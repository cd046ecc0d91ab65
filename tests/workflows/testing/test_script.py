"""The scripted model."""

from dataclasses import dataclass
from typing import Any

import pytest

from chatflow.workflows import Context, WorkflowError, tool, workflow
from chatflow.workflows.exceptions import AIUnavailable
from chatflow.workflows.testing import OFFLINE, Approve, Use

Run = Any


@dataclass
class Meeting:
    title: str
    minutes: int


@pytest.fixture(autouse=True)
def _workflows() -> None:
    def stock(product: str) -> int:
        """Say how many there are."""
        return len(product)

    @tool(approval=True)
    def order(product: str) -> str:
        """Order one."""
        return f"Ordered {product}."

    @workflow("explain")
    def explain(ctx: Context) -> str:
        return ctx.ai(f"Explain {ctx.message}", show=True)

    @workflow("aexplain")
    async def aexplain(ctx: Context) -> str:
        return await ctx.aai(f"Explain {ctx.message}", show=True)

    @workflow("meet")
    def meet(ctx: Context) -> str:
        meeting = ctx.ai(ctx.message, output_type=Meeting, offline=lambda text: Meeting(text, 5))
        return f"{meeting.title}, {meeting.minutes}"

    @workflow("count")
    def count(ctx: Context) -> str:
        return str(ctx.ai(ctx.message, output_type=int))

    @workflow("shop")
    def shop(ctx: Context) -> str:
        return ctx.ai(ctx.message, tools=[stock, order])


@pytest.mark.parametrize("name", ["explain", "aexplain"])
def test_texts(run: Run, name: str) -> None:
    turn = run(name, "rain", model=["Rain is water."])

    assert turn.response == turn.words == "Rain is water."
    assert turn.prompts == ["Explain rain"]
    assert turn.usage == {
        "requests": 1,
        "input_tokens": 2,
        "output_tokens": 3,
        "models": ["script"],
    }
    assert turn.steps == []


@pytest.mark.parametrize("name", ["explain", "aexplain"])
def test_a_call_too_many_fails_with_the_prompt(run: Run, name: str) -> None:
    with pytest.raises(AssertionError, match=r"asked once more .*: 'Explain rain'"):
        run(name, "rain")


def test_a_workflow_can_not_hide_a_call_too_many(run: Run) -> None:
    @workflow("careless")
    def careless(ctx: Context) -> str:
        try:
            return ctx.ai("Anything?")
        except WorkflowError:
            return "Never mind."

    with pytest.raises(AssertionError, match=r"'Anything\?'"):
        run("careless")


def test_an_answer_too_many_fails(run: Run) -> None:
    with pytest.raises(AssertionError, match=r"not asked for these answers: \['More.'\]"):
        run("explain", "rain", model=["Rain is water.", "More."])


@pytest.mark.parametrize("error", [AIUnavailable, AIUnavailable("Away.")])
def test_exceptions(run: Run, error: Any) -> None:
    turn = run("explain", "rain", model=[error])

    assert (turn.state, turn.code) == ("failed", "ai_unavailable")
    assert isinstance(turn.exception, AIUnavailable)


@pytest.mark.parametrize("said", [Meeting("lunch", 60), {"title": "lunch", "minutes": 60}])
def test_results(run: Run, said: Any) -> None:
    assert run("meet", "lunch", model=[said]).response == "lunch, 60"
    assert run("count", "how many", model=[7]).response == "7"


def test_tools(run: Run) -> None:
    script = [[Use("stock", product="lamp"), Use("stock", product="sofa bed")], "4 and 8."]

    turn = run("shop", "lamps?", model=script)

    assert turn.response == "4 and 8."
    assert turn.steps == [
        ("Using stock", {"result": 4}, 1),
        ("Using stock", {"result": 8}, 1),
    ]


def test_a_tool_that_needs_an_approval(run: Run) -> None:
    turn = run("shop", "a lamp", answers=[Approve()], model=[Use("order", product="lamp"), "Done."])

    assert turn.response == "Done."
    assert turn.approvals[0].details == {"tool": "order", "arguments": {"product": "lamp"}}


def test_a_tool_that_is_not_there(run: Run) -> None:
    with pytest.raises(AssertionError, match="use 'sell', but is offered stock, order"):
        run("shop", "lamps?", model=[Use("sell")])


def test_a_workflow_is_chosen(run: Run) -> None:
    @workflow("weather")
    def weather(ctx: Context) -> str:
        return "Rain."

    assert run(None, "Do I need an umbrella?", model=[Use("weather")]).response == "Rain."


def test_nothing_is_asked_twice_after_a_crash(run: Run) -> None:
    turn = run("explain", "rain", model=["Rain is water."], crash_after="Asking the model")

    assert (turn.response, turn.words) == ("Rain is water.", "Rain is water.")
    assert turn.prompts == ["Explain rain"]
    assert turn.job.attempt == 2


def test_the_offline_model(run: Run) -> None:
    assert run("meet", "lunch", model=OFFLINE).response == "lunch, 5"

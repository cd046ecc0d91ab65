"""Calls of the model."""

import pytest

from tests.workflows.chat import (
    Chat,
    Crashes,
    resume,
)
from workflows import Context, thinking
from workflows.models import State

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def test_calls_of_the_model(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    crashes = Crashes("end")

    class Model:
        def answer(self, prompt: str) -> str:
            asked.append(prompt)
            return prompt.upper()

    monkeypatch.setattr(thinking, "get_model", Model)

    def work(ctx: Context) -> str:
        first = ctx.ai("one")
        second = ctx.step("Think", ctx.ai, "two")
        crashes.at("end")
        return first + second

    job = resume(chat.begin(work, max_ai_calls=2))
    assert (job.response, asked) == ("ONETWO", ["one", "two"])

    job = chat.begin(work, max_ai_calls=1)
    assert (job.state, job.code) == (State.FAILED, "ai_budget")
    assert asked == ["one", "two", "one"]

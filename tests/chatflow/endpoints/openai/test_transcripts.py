"""A conversation that is found by what was said in it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.endpoints.openai import transcripts
from chatflow.workflows.models import Job, Message
from tests.chatflow.conftest import MakeJob
from tests.chatflow.endpoints.openai.test_chat_completions import said

pytestmark = pytest.mark.django_db(transaction=True)


def find(user: User, *texts: str) -> str | None:
    request: Any = SimpleNamespace(user=user, auth=None)
    return transcripts.find(cast(Any, request), transcripts.read(said(*texts)))


@pytest.fixture
def talk(alice: User, make_job: MakeJob, run: Any) -> Any:
    """Return what says something to the workflow echo, or another one."""

    def talk(text: str, session: str, user: User = alice, **options: Any) -> Job:
        job: Job = run(make_job(user, text, session=session, **options))
        return job

    return talk


def test_it_works(alice: User, talk: Any) -> None:
    for session in ("a", "b", "c"):
        talk(session, session)
    talk("more", "b")
    assert find(alice, "b", "You said: b", "more", "You said: more") == "b"
    assert find(alice, "a", "You said: a") == "a"


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("a",),
        ("a", "You said: b"),
        ("b", "You said: a"),
        ("a", "You said: a", "a", "You said: a"),
        ("more", "You said: more"),
        ("a\0", "You said: a"),
    ],
)
def test_other_words_are_another_conversation(
    alice: User, talk: Any, texts: tuple[str, ...]
) -> None:
    talk("a", "a")
    talk("more", "a2")
    talk("again", "a2")
    assert find(alice, *texts) is None


def test_the_latest_of_two_that_are_alike(alice: User, talk: Any) -> None:
    talk("a", "first")
    talk("a", "second")
    assert find(alice, "a", "You said: a") == "second"
    talk("b", "first")
    assert find(alice, "a", "You said: a") == "second"


def test_somebody_elses_is_none(alice: User, bob: User, talk: Any) -> None:
    talk("a", "a")
    assert find(bob, "a", "You said: a") is None


def test_words_that_were_streamed_before_the_answer(alice: User, talk: Any) -> None:
    talk("a", "a")
    assert find(alice, "a", " Well.\n\nYou said: a\n") == "a"


def test_choices_are_part_of_what_was_shown(alice: User, talk: Any) -> None:
    talk("a", "a", workflow="pick")
    assert find(alice, "a", "Which?\n1. Red\n2. Blue") == "a"


def test_an_answer_that_is_still_being_written(alice: User, talk: Any, make_job: MakeJob) -> None:
    """Whoever has left it says "stop" next."""
    talk("a", "a")
    job = make_job(alice, "b", session="a")
    texts = ("a", "You said: a", "b")
    assert find(alice, *texts) == find(alice, *texts, "You sa") == "a"
    Job.objects.filter(pk=job.pk).update(state="failed", finished_at=job.created_at)
    assert find(alice, *texts, "You sa") is None


def test_what_was_cut_was_not_said(alice: User, talk: Any) -> None:
    job = talk("a", "a")
    talk("b", "a")
    Message.objects.filter(job=job).update(cut=True)
    assert find(alice, "b", "You said: b") == "a"


def test_prompts_tools_and_silence_are_left_out() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": " a "}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "7"},
        {"role": ["user"], "content": "x"},
        {"role": "assistant", "content": "b"},
        7,
    ]
    turns = transcripts.read(messages)
    assert [(turn.role, turn.text) for turn in turns] == [("user", "a"), ("assistant", "b")]


def test_it_costs_three_queries(alice: User, talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever there is, and whatever is told."""
    for number in range(6):
        talk("a", str(number))
    texts = ("a", "You said: a")
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert find(alice, *texts) == "5"
    assert len(few) == 3
    with CaptureQueriesContext(connection) as none:
        assert find(alice, *texts * 20_000) is None
    assert len(none) <= 3
    monkeypatch.setattr(transcripts, "JOBS", 2)
    talk("b", "6")
    talk("b", "7")
    assert find(alice, *texts) is None


def test_long_ones_are_not_read(alice: User, talk: Any) -> None:
    """The words of others that have the same last message may be many."""
    talk("a", "long")
    Message.objects.filter(role="assistant").update(content="x" * 5000 + "You said: a")
    request: Any = SimpleNamespace(user=alice, auth=None)
    turns = transcripts.read(said("a", "You said: a"))
    candidates = transcripts._candidates(request, "a")
    assert len(candidates) == 1
    assert transcripts._measured(candidates, turns) == []
